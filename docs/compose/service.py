"""A service that knows nothing of weir: an official SDK, and another base URL.

Asks as fast as eight workers get answers, in bursts, so that there is something to see.
"""

import os
import random
import threading
import time

import openai

client = openai.OpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY
name = os.environ.get("NAME", "service")
counts = {"answers": 0, "errors": 0}


def work():
    while True:
        words = " ".join(["weir"] * random.choice([50, 200, 1000]))
        try:
            client.chat.completions.create(
                model="gpt-5.6-luna",
                max_tokens=100,
                messages=[{"role": "user", "content": words}],
            )
            counts["answers"] += 1
        except openai.OpenAIError as error:
            counts["errors"] += 1
            print(f"{name}: {error}")
        if random.random() < 0.05:
            time.sleep(random.uniform(5, 20))


for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
while True:
    time.sleep(10)
    print(f"{name}: {counts['answers']} answers, {counts['errors']} errors")
