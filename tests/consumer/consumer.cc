// The same in C++: the header has to be clean there, too.
#include <cstdio>

#include <weir.h>

int main(int argc, char **argv)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  struct weir *weir = nullptr;

  if (argc != 2)
    return 2;
  options.coordinator = argv[1];
  if (weir_open(&options, &weir) != WEIR_OK)
    return 1;
  provider.name = "gemini";
  provider.base_url = "http://127.0.0.1:9"; // never reached: no coordinator, no lease
  if (weir_provider_add(weir, &provider) != WEIR_OK)
    return 1;
  request.model = "gemini/gemini-2.5-flash";
  request.body = "{}";
  request.body_size = 2;
  request.max_wait_ms = 50;
  const int err = weir_call(weir, &request, &response);
  std::printf("%s: %s\n", weir_version(), response.error);
  weir_response_free(&response);
  weir_close(weir);
  return err == WEIR_EUNREACHABLE ? 0 : 1;
}
