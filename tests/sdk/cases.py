"""The official Python SDKs against whatever their own environment variables for the base URL name.

Prints one JSON line for each case: {"sdk", "version", "case", "ok", "note"}.

  python cases.py UPSTREAM       UPSTREAM is the simulated provider itself, for its faults only
"""
import base64
import concurrent.futures
import importlib.metadata
import json
import os
import sys
import urllib.request

import anthropic
import openai
from google import genai
from google.genai import types

upstream = sys.argv[1]
png = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
png_text = base64.b64encode(png).decode()


def faults(entries):
    body = json.dumps({"faults": entries}).encode()
    urllib.request.urlopen(upstream + "/_admin/script", body).read()


def counters():
    return json.load(urllib.request.urlopen(upstream + "/_admin/counters"))


def wanted(condition, note):
    if not condition:
        raise AssertionError(note)


class OpenAI:
    name = "openai"
    model = "gpt-4o"

    def __init__(self):
        self.client = openai.OpenAI()

    def ask(self, **more):
        messages = more.pop("messages", [{"role": "user", "content": "hi"}])
        return self.client.chat.completions.create(
            model=self.model, max_tokens=20, messages=messages, **more
        )

    def text(self, **more):
        return self.ask(**more).choices[0].message.content

    def stream(self):
        with self.ask(stream=True) as stream:
            for chunk in stream:
                wanted(chunk.choices, "a chunk without choices came, which the program did not ask for")
                if chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    def tools(self):
        function = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
        return self.text(tools=[{"type": "function", "function": function}])

    def json(self):
        return self.text(response_format={"type": "json_object"})

    def image(self):
        url = "data:image/png;base64," + png_text
        return self.text(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what?"},
                        {"type": "image_url", "image_url": {"url": url}},
                    ],
                }
            ]
        )

    def embeddings(self):
        return self.client.embeddings.create(
            model="text-embedding-3-small", input="hi", encoding_format="float"
        ).data[0].embedding

    def large(self, prompt):
        return self.text(messages=[{"role": "user", "content": prompt}])

    def usage_of_stream(self):
        *_, last = self.ask(stream=True, stream_options={"include_usage": True})
        wanted(last.usage.prompt_tokens > 0, "no usage came")
        return last.usage.total_tokens

    def extra(self):
        client = self.client
        return {
            "responses": lambda: client.responses.create(
                model=self.model, input="hi", max_output_tokens=20
            ).output_text,
            "responses, streaming": lambda: "".join(
                event.delta
                for event in client.responses.create(
                    model=self.model, input="hi", max_output_tokens=20, stream=True
                )
                if event.type == "response.output_text.delta"
            ),
            "usage of a stream, asked for": self.usage_of_stream,
            "list of models": lambda: client.models.list().data,
        }


class Anthropic:
    name = "anthropic"
    model = "claude-sonnet-4-5"

    def __init__(self):
        self.client = anthropic.Anthropic()

    def arguments(self, **more):
        return {
            "model": self.model,
            "max_tokens": 20,
            "messages": [{"role": "user", "content": "hi"}],
            **more,
        }

    def text(self, **more):
        return self.client.messages.create(**self.arguments(**more)).content[0].text

    def stream(self):
        with self.client.messages.stream(**self.arguments()) as stream:
            yield from stream.text_stream

    def tools(self):
        return self.text(
            tools=[{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
        )

    def image(self):
        source = {"type": "base64", "media_type": "image/png", "data": png_text}
        content = [{"type": "text", "text": "what?"}, {"type": "image", "source": source}]
        return self.text(messages=[{"role": "user", "content": content}])

    def large(self, prompt):
        return self.text(messages=[{"role": "user", "content": prompt}])

    def extra(self):
        return {
            "count of tokens": lambda: self.client.messages.count_tokens(
                model=self.model, messages=[{"role": "user", "content": "hi there"}]
            ).input_tokens
        }


class Genai:
    name = "google-genai"
    model = "gemini-2.5-flash"

    def __init__(self):
        self.client = genai.Client(api_key=os.environ["GEMINI_API_KEY"])

    def text(self, contents="hi", **config):
        config = types.GenerateContentConfig(max_output_tokens=20, **config)
        return self.client.models.generate_content(
            model=self.model, contents=contents, config=config
        ).text

    def stream(self):
        config = types.GenerateContentConfig(max_output_tokens=20)
        for chunk in self.client.models.generate_content_stream(
            model=self.model, contents="hi", config=config
        ):
            if chunk.text:
                yield chunk.text

    def tools(self):
        function = types.FunctionDeclaration(
            name="weather", parameters_json_schema={"type": "object", "properties": {}}
        )
        return self.text(tools=[types.Tool(function_declarations=[function])])

    def json(self):
        return self.text(response_mime_type="application/json")

    def image(self):
        return self.text(["what?", types.Part.from_bytes(data=png, mime_type="image/png")])

    def embeddings(self):
        return self.client.models.embed_content(
            model="gemini-embedding-001", contents="hi"
        ).embeddings[0].values

    def large(self, prompt):
        return self.text(prompt)

    def extra(self):
        return {
            "count of tokens": lambda: self.client.models.count_tokens(
                model=self.model, contents="hi there"
            ).total_tokens
        }


def failure(run):
    try:
        run()
    except Exception as error:  # whatever the SDK makes of it
        return error
    raise AssertionError("it did not fail")


def retried(sdk, kind):
    faults([{"kind": kind, "next": 1}])
    text = sdk.text()
    faults([])
    wanted(text, "empty")
    return ""


def final(sdk, kind, status):
    faults([{"kind": kind, "probability": 1}])
    before = counters()["totals"]["faults"]
    error = failure(sdk.text)
    attempts = counters()["totals"]["faults"] - before
    faults([])
    found = getattr(error, "status_code", None) or getattr(error, "code", None)
    wanted(found == status, f"status {found}: {error}")
    return f"{type(error).__name__} after {attempts} attempt{'' if attempts == 1 else 's'} upstream"


def broken(sdk, kind):
    faults([{"kind": kind, "next": 1}])
    error = failure(lambda: list(sdk.stream()))
    faults([])
    return type(error).__name__


def cancelled(sdk):
    def count():
        return sum(account["cancelled"] for account in counters()["accounts"])

    before = count()
    stream = sdk.stream()
    next(stream)
    stream.close()
    for _ in range(5000):  # the event is on the other side of two connections: ask for it
        if count() > before:
            return ""
    raise AssertionError("upstream went on")


def parallel(sdk):
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        texts = list(pool.map(lambda _: "".join(sdk.stream()), range(100)))
    wanted(all(texts), "an empty stream")
    return ""


def cases(sdk):
    def nonempty(run):
        def checked():
            wanted(run(), "empty")

        return checked

    optional = {
        name: nonempty(getattr(sdk, method))
        for name, method in [
            ("tools", "tools"),
            ("JSON mode", "json"),
            ("images", "image"),
            ("embeddings", "embeddings"),
        ]
        if hasattr(sdk, method)
    }
    listed = {
        "plain": nonempty(sdk.text),
        "streaming": nonempty(lambda: "".join(sdk.stream())),
        **optional,
        "429 that passes": lambda: retried(sdk, "capacity_429"),
        "503 that passes": lambda: retried(sdk, "overloaded_503"),
        "429 that stays": lambda: final(sdk, "capacity_429", 429),
        "error in a stream": lambda: broken(sdk, "stream_error"),
        "broken stream": lambda: broken(sdk, "drop"),
        "cancel": lambda: cancelled(sdk),
        "prompt of 8 MB": nonempty(lambda: sdk.large("weir " * 1600000)),
        "100 parallel streams": lambda: parallel(sdk),
        **{name: nonempty(run) for name, run in sdk.extra().items()},
    }
    version = importlib.metadata.version(sdk.name)
    for name, run in listed.items():
        line = {"sdk": f"{sdk.name} {version} (Python)", "case": name}
        try:
            line.update(ok=True, note=run() or "")
        except Exception as error:
            line.update(ok=False, note=repr(error)[:200])
            faults([])
        print(json.dumps(line), flush=True)


for make in (OpenAI, Anthropic, Genai):
    cases(make())
