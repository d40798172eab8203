"""The API for scripts that were written for exposr: curl calls as its users have them."""

import json
import re
import subprocess

from api_client import number_forms, number_token
from karez import wait_until
from servers import Target
from visitor import fetch


class Curl:
    """As in the scripts of exposr's users: curl, and what it prints."""

    def __init__(self, url):
        self.url, self.token = url, None

    def __call__(self, method, path, body=None):
        argv = ["curl", "-sS", "-m", "20", "-X", method, self.url + path,
                "-w", "\n%{http_code}"]
        argv += ["-H", f"Authorization: Bearer {self.token}"] if self.token else []
        if body is not None:
            argv += ["-H", "Content-Type: application/json", "-d",
                     body if isinstance(body, str) else json.dumps(body)]
        out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
        text, status = out.rsplit("\n", 1)
        try:
            return int(status), json.loads(text)
        except ValueError:
            return int(status), text


def test_scripts_of_exposrs_users_carry_over(world):
    server = world.server()
    curl = Curl(server.url)
    status, made = curl("POST", "/v1/account")
    assert status == 201
    assert re.fullmatch("[CDEFHJKMNPRTVWXY2345689]{16}", made["account_id"])
    assert made["account_id_hr"].replace("-", "") == made["account_id"]
    world.plant(made["token"], *number_forms(made["account_id"]))

    curl.token = number_token(made["account_id"])
    for shown in (made["account_id"], made["account_id_hr"], made["account_id"].lower()):
        assert curl("GET", f"/v1/account/{shown}/token") == (201, {"token": curl.token})
    assert curl("GET", "/v1/account/CCCCDDDDEEEEFFFF/token")[0] == 403

    status, tunnel = curl("PUT", "/v1/tunnel/my-tunnel", {})
    assert status in (200, 201) and tunnel["id"] == "my-tunnel"
    assert curl("PUT", "/v1/tunnel/my-tunnel", {
        "target": {"url": "http://127.0.0.1:3000"},
        "ingress": {"http": {"enabled": True, "alt_names": []}, "sni": {"enabled": False}},
        "transport": {"ws": {"enabled": True}, "ssh": {"enabled": False}}})[0] == 200
    status, tunnel = curl("GET", "/v1/tunnel/my-tunnel")
    assert status == 200 and tunnel["connection"]["connected"] is False
    assert tunnel["target"]["url"] == "http://127.0.0.1:3000"
    assert tunnel["ingress"]["http"]["url"] == f"http://my-tunnel.localhost:{server.port}"
    assert tunnel["ingress"]["http"]["urls"] == [tunnel["ingress"]["http"]["url"]]
    assert tunnel["transport"]["max_connections"] >= 2
    target = world.closes(Target())
    url = f"http://127.0.0.1:{target.port}"
    status, tunnel = curl("PATCH", "/v1/tunnel/my-tunnel", {"target": {"url": url}})
    assert (status, tunnel["target"]["url"]) == (200, url)

    agent = world.agent(server, target.port, "--name", "my-tunnel",
                        env={"KAREZ_TOKEN": curl.token})
    assert fetch(server.port, agent.host).text() == "hello from target\n"
    wait_until(lambda: curl("GET", "/v1/tunnel/my-tunnel")[1]["connection"]["connections"] == 2,
               5, "both sessions are shown")
    assert curl("POST", "/v1/tunnel/my-tunnel/disconnect") == (200, {"result": True})
    assert agent.wait() == 1
    assert curl("POST", "/v1/tunnel/my-tunnel/disconnect") == (200, {"result": False})
    assert curl("DELETE", "/v1/tunnel/my-tunnel")[0] == 204
    status, problem = curl("GET", "/v1/tunnel/my-tunnel")
    assert status == 404 and problem["error"] == problem["code"] == "NOTFOUND"
    assert curl("PATCH", "/v1/tunnel/my-tunnel", {})[0] == 404
    assert curl("POST", "/v1/tunnel/my-tunnel/disconnect")[0] == 404
    assert curl("PUT", "/v1/tunnel/my-tunnel", "not json")[0] == 400
    assert curl("PUT", "/v1/tunnel/my-tunnel", {"upstream": "x"})[1]["field"] == "upstream"
    status, problem = curl("PUT", "/v1/tunnel/my-tunnel", {
        "ingress": {"http": {"enabled": True}, "sni": {"enabled": True}}})
    assert (status, problem["field"]) == (400, "ingress.sni.enabled")
    curl.token = None
    assert curl("GET", "/v1/tunnel/my-tunnel")[0] == 401


def test_scripts_of_exposrs_operators_carry_over(world):
    server = world.server()
    curl = Curl(server.url)
    wait_until(lambda: curl("GET", "/health")[0] == 200, 5, "ready")
    assert curl("GET", "/ping") == (200, "OK") and curl("GET", "/health") == (200, "OK")
    user = server.account("Anna")
    user.tunnel("my-tunnel")
    assert curl("GET", "/v1/admin/account")[0] == 401
    curl.token = server.admin().credential
    status, page = curl("GET", "/v1/admin/account?count=1&verbose=true")
    assert status == 200 and len(page["accounts"]) == 1
    status, rest = curl("GET", f"/v1/admin/account?cursor={page['cursor']}")
    ids = {a["id"] for a in page["accounts"] + rest["accounts"]}
    assert rest["cursor"] is None and user.made["id"] in ids
    status, made = curl("POST", "/v1/admin/account")
    assert status == 201 and re.fullmatch(r"(\w{4}-){3}\w{4}", made["account_id_hr"])
    world.plant(made["token"], *number_forms(made["account_id"]))
    place = "/v1/admin/account/" + user.made["id"]
    status, account = curl("GET", place)
    assert status == 200 and account["usage"]["tunnels"] == 1
    status, account = curl("PUT", place + "/disable", {"disable": True, "reason": "spam"})
    assert (status, account["enabled"], account["reason"]) == (200, False, "spam")
    user.get("/v1/account").refused(403, "DISABLED")
    status, account = curl("PUT", place + "/disable", {"disable": False})
    assert (status, account["enabled"]) == (200, True) and user.get("/v1/account").status == 200
    status, page = curl("GET", "/v1/admin/tunnel")
    assert status == 200 and [t["id"] for t in page["tunnels"]] == ["my-tunnel"]
    assert curl("GET", "/v1/admin/tunnel/my-tunnel")[0] == 200
    assert curl("POST", "/v1/admin/tunnel/my-tunnel/disconnect") == (200, {"result": False})
    assert curl("POST", "/v1/admin/tunnel/nosuch/disconnect")[0] == 404
    assert curl("DELETE", "/v1/admin/tunnel/my-tunnel")[0] == 204
    assert curl("DELETE", place)[0] == 204 and curl("GET", place)[0] == 404
    user.get("/v1/account").refused(401)
