"""A server that does what the files in its directory say and writes down its life in the file `log`."""
import json, os, sys, time

here = sys.argv[1]

def told(what):
    return os.path.exists(os.path.join(here, what))

def log(text):
    with open(os.path.join(here, "log"), "a") as file:
        file.write(text + "\n")

def answer(message, result):
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)

log("start")
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    log(method)
    if method == "initialize":
        if told("hang"):
            os.remove(os.path.join(here, "hang"))
            log("hanging")
            continue
        answer(message, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}})
    elif method == "server/discover" and not told("linger"):
        error = {"code": -32601, "message": "not known"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
    elif method == "tools/list" and not told("mute"):
        answer(message, {"tools": [{"name": "t"}]})
        if told("deaf"):
            os.close(0)
            log("deaf")
            time.sleep(600)
    elif method == "tools/call":
        answer(message, {"content": [{"type": "text", "text": str(os.getpid())}]})
if told("linger"):
    time.sleep(0.3)
log("end")
