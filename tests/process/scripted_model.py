#!/usr/bin/env python3
"""An OpenAI-compatible server that follows a script: the model of the tests.

POST /v1/chat/completions, streamed or not, as the request asks. Each question takes the next step
of the script; a step is an object with one of

  {"say": "text"}                            an answer
  {"call": "tool", "with": {...}}            a tool call; "with" may be text, sent as it is
  {"calls": [["tool", {...}], ...]}          several at once
  {"status": 429, "headers": {...}, "message": "..."}   a refusal
  {"hang": seconds}                          no answer for so long, then the connection ends
  {"cut": true}                              a stream that breaks off in the middle
  {"stutter": true, ...}                     with "say" or "call": bytes one by one
  {"repeat": true, ...}                      this step for ever

After the last step it says "Nothing more in the script." Other paths: GET /v1/models, and GET
/requests with all that was asked, for the test.

  scripted_model.py SCRIPT.json   prints its base URL and serves until it is ended
"""

import http.server
import json
import sys
import threading
import time


class ScriptedModel:
    """The server on a free port of the loopback interface. Use as a context manager."""

    def __init__(self, steps=(), on_request=None):
        self.steps = list(steps)
        self.requests = []  # bodies
        self.keys = []      # Authorization headers
        self.on_request = on_request  # called with the request before it is answered
        self._lock = threading.Lock()
        model = self

        class Handler(_Handler):
            owner = model

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def take(self, request, key):
        with self._lock:
            self.requests.append(request)
            self.keys.append(key)
            if not self.steps:
                step = {"say": "Nothing more in the script."}
            elif self.steps[0].get("repeat"):
                step = self.steps[0]
            else:
                step = self.steps.pop(0)
        if self.on_request:
            self.on_request(request)
        return step

    def results(self):
        """What the tools answered, in the last request."""
        return [message["content"] for message in self.requests[-1]["messages"]
                if message["role"] == "tool"]


def faults_of(request):
    """What a strict server would refuse. An assistant's calls must all be answered."""
    if not isinstance(request.get("model"), str) or not request.get("messages"):
        return "model and messages are required"
    open_calls = set()
    for message in request["messages"]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                return "a tool message must answer a call of the assistant"
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            return "an assistant message with tool_calls must be followed by their results"
        for call in message.get("tool_calls", []):
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                return "tool_calls[].function.arguments must be JSON"
            open_calls.add(call["id"])
    return "tool calls without results" if open_calls else None


def message_of(step, number):
    calls = step.get("calls") or ([[step["call"], step.get("with", {})]] if "call" in step else [])
    message = {"role": "assistant", "content": step.get("say")}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{number}_{i}", "type": "function",
             "function": {"name": name, "arguments": arguments if isinstance(arguments, str)
                          else json.dumps(arguments, ensure_ascii=False)}}
            for i, (name, arguments) in enumerate(calls)]
    return message, "tool_calls" if calls else "stop"


def deltas_of(message):
    """The pieces of a streamed message: text by words, arguments in pieces of three characters."""
    yield {"role": "assistant", "content": ""}
    for word in (message["content"] or "").split(" "):
        if word:
            yield {"content": word + " "}
    for index, call in enumerate(message.get("tool_calls", [])):
        function = call["function"]
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": "function",
                               "function": {"name": function["name"], "arguments": ""}}]}
        text = function["arguments"]
        size = max(3, len(text) // 100)
        for at in range(0, len(text), size):
            yield {"tool_calls": [{"index": index,
                                   "function": {"arguments": text[at:at + size]}}]}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/v1/models":
            self.send_json(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        elif self.path == "/requests":
            self.send_json(200, self.owner.requests)
        else:
            self.refuse(404, "no such path")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path != "/v1/chat/completions":
            self.refuse(404, "no such path")
            return
        try:
            request = json.loads(body)
        except ValueError:
            self.refuse(400, "the body is no JSON")
            return
        step = self.owner.take(request, self.headers.get("Authorization"))
        fault = faults_of(request)
        if fault:
            self.refuse(400, fault)
        elif "status" in step:
            self.refuse(step["status"], step.get("message", "as the script says"),
                        step.get("headers", {}))
        elif "hang" in step:
            time.sleep(step["hang"])
            self.close_connection = True
        else:
            self.answer(request, step)

    def answer(self, request, step):
        message, reason = message_of(step, len(self.owner.requests))
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        common = {"id": "chatcmpl-1", "created": 1, "model": request["model"]}
        if not request.get("stream"):
            self.send_json(200, {**common, "object": "chat.completion", "usage": usage, "choices": [
                {"index": 0, "message": message, "finish_reason": reason}]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        common["object"] = "chat.completion.chunk"
        chunks = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
                  for delta in deltas_of(message)]
        if step.get("cut"):
            chunks = chunks[:2]
        else:
            chunks.append({**common, "choices": [{"index": 0, "delta": {},
                                                  "finish_reason": reason}]})
            if (request.get("stream_options") or {}).get("include_usage"):
                chunks.append({**common, "choices": [], "usage": usage})
        text = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks)
        data = text.encode() + (b"" if step.get("cut") else b"data: [DONE]\n\n")
        pieces = [data[i:i + 1] for i in range(len(data))] if step.get("stutter") else [data]
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def send_json(self, status, value, headers=None):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message, headers=None):
        self.send_json(status, {"error": {"message": message, "type": "scripted", "code": None}},
                       headers)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        steps = json.load(file)
    with ScriptedModel(steps) as model:
        print(model.url, flush=True)
        # Ends with whoever started it.
        sys.stdin.read()


if __name__ == "__main__":
    main()
