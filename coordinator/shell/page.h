/* page.h - the files of shell/page, as they are built into the daemon: the dashboard of the admin
 * port. */
#ifndef WEIR_PAGE_H
#define WEIR_PAGE_H

#include <stddef.h>

extern const unsigned char weir_page_html[], weir_page_css[], weir_page_js[];
extern const size_t weir_page_html_size, weir_page_css_size, weir_page_js_size;

#endif
