# Installation rules: filled by the library's own folder; see shim/CMakeLists.txt.
