# weir in containers. Targets: weir (all programs; the coordinator unless told otherwise), upstream
# (a simulated provider, to try it without a key) and service (a program on an official SDK).
#   docker build -t weir .
#   docker run --rm -v $PWD/weir.yaml:/etc/weir/weir.yaml weir
# docker-compose.yml shows them together. `./dev packages` runs the same commands without an engine.

FROM debian:bookworm-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      gcc libc6-dev cmake ninja-build pkg-config scdoc file dpkg-dev libzmq3-dev libczmq-dev \
      libmsgpack-dev libcurl4-openssl-dev libssl-dev libuv1-dev libyaml-dev libcmocka-dev \
      libsqlite3-dev node-llhttp
COPY . /src
WORKDIR /src
RUN cmake --preset packages && cmake --build build/packages && \
    cpack --config build/packages/CPackConfig.cmake -B /packages
RUN cmake --preset packages -B build/upstream -D WEIR_TESTS=ON && \
    cmake --build build/upstream --target weir-upstream

FROM debian:bookworm-slim AS upstream
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      libuv1 && \
    rm -rf /var/lib/apt/lists
COPY --from=build /src/build/upstream/bin/weir-upstream /usr/bin/weir-upstream
USER nobody
CMD ["weir-upstream", "--listen", "0.0.0.0:7450"]

FROM debian:bookworm-slim AS service
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      python3-venv && \
    python3 -m venv /venv && /venv/bin/pip install --quiet openai && \
    rm -rf /var/lib/apt/lists
COPY docs/compose/service.py /service.py
USER nobody
CMD ["/venv/bin/python", "-u", "/service.py"]

FROM debian:bookworm-slim AS weir
COPY --from=build /packages /packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      /packages/libweir0_*.deb /packages/weir_*.deb /packages/weir-coordinator_*.deb \
      /packages/weir-proxy_*.deb && \
    install -d -o weir -g weir /run/weir /var/lib/weir && \
    rm -rf /packages /var/lib/apt/lists
USER weir
VOLUME /run/weir /var/lib/weir
HEALTHCHECK --interval=5s --timeout=3s CMD ["weir", "stats", "--json"]
CMD ["weir-coordinator", "--config", "/etc/weir/weir.yaml"]
