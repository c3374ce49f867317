"""One step of OpenAI's SDK for Python against a gateway; OPENAI_BASE_URL and OPENAI_API_KEY as `openclaw-ha env`
prints them. Prints JSON lines: what it got, or the class and the body of the error."""

import json
import os
import sys

import openai
from openai import OpenAI

client = OpenAI(max_retries=0, timeout=60)
step = sys.argv[1]
key = {"Idempotency-Key": os.environ["KEY"]} if "KEY" in os.environ else {}
text = os.environ.get("TEXT", "hello from Python")


def tell(**what):
    print(json.dumps(what), flush=True)


def chat(**more):
    return client.chat.completions.create(
        model="openclaw", user="python", messages=[{"role": "user", "content": text}], extra_headers=key, **more
    )


try:
    if step == "models":
        tell(ids=[model.id for model in client.models.list()])
    elif step == "chat":
        answer = chat()
        tell(id=answer.id, content=answer.choices[0].message.content, tokens=answer.usage.total_tokens)
    elif step == "stream":
        content, usage = "", None
        for chunk in chat(stream=True, stream_options={"include_usage": True}):
            piece = chunk.choices[0].delta.content if chunk.choices else None
            usage = chunk.usage or usage
            if piece and not content:
                tell(first=piece)
            content += piece or ""
        tell(content=content, tokens=usage.total_tokens)
    elif step == "cancel":
        stream = chat(stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                stream.close()
                tell(id=chunk.id)
                break
    elif step == "responses":
        with client.responses.stream(model="openclaw", user="python", input=text) as stream:
            types = [event.type for event in stream]
            tell(types=types, content=stream.get_final_response().output_text)
    elif step == "refused":
        client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "hi"}])
except openai.APIStatusError as error:
    tell(error=type(error).__name__, status=error.status_code, message=error.message)
except openai.APIConnectionError as error:
    tell(error=type(error).__name__)
except Exception as error:  # what the transport raises in the middle of a stream
    tell(error=type(error).__name__)
