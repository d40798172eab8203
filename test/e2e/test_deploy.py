"""deploy/: the image, the compose file, Kubernetes and Helm, each judged by its linter and run as far as it runs without an
engine."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

import jsonschema
import pytest
import yaml

from deploy_tree import (CHART, DEPLOY, KUBERNETES, chart_values, context_files, judge_objects, manifests, objects_of,
                         option_names, render, run, tool)
from karez import BUILD, TREE, free_port, wait_until
from redis_server import Redis
from servers import Target, fields_of
from visitor import fetch

IMAGE_USER = 65532
HELLO = "hello from web\n"


def seconds(text):
    found = re.fullmatch(r"(\d+)s", str(text))
    assert found, text
    return int(found.group(1))


# ---- the image ----


def instructions():
    """[(word, rest)] of the Dockerfile, continued lines joined."""
    text = "\n".join(line for line in (DEPLOY / "Dockerfile").read_text().splitlines()
                     if not line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def test_the_dockerfile_has_no_fault():
    run(tool("hadolint"), "--no-color", "--failure-threshold", "style", DEPLOY / "Dockerfile")


def test_the_image_is_empty_but_for_what_was_put_together():
    words = instructions()
    last = max(i for i, (word, _) in enumerate(words) if word == "FROM")
    assert words[last][1] == "scratch"
    stage = words[last + 1:]
    assert [word for word, _ in stage if word in ("RUN", "ADD", "SHELL")] == []
    assert [rest for word, rest in stage if word == "COPY"] == ["--from=build /image/ /"]
    told = dict(stage)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", told["USER"])
    assert json.loads(told["ENTRYPOINT"]) == ["/usr/sbin/karezd"]
    assert json.loads(told["HEALTHCHECK"].partition("CMD ")[2]) == ["/usr/sbin/karezd", "ready"]
    variables = set(re.findall(r"\b(KAREZ_[A-Z_]+)=", told["ENV"]))
    assert variables and variables <= option_names()


def test_the_context_has_what_is_built_from_and_no_more(tmp_path):
    files = context_files()
    assert not [f for f in files if f.startswith(("test/", "bench/", "doc/", "deploy/secrets", "deploy/state", ".git"))]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TREE / file, tmp_path / file)
    run("meson", "setup", tmp_path / "build", tmp_path, "-Dtests=false")


class Image:
    """The image's tree, and programs that run in it: another root, another user, nothing to write but the state."""

    def __init__(self, world):
        self.world = world
        self.root, self.state = world.path / "image", world.dir("image-state")
        os.chown(self.state, IMAGE_USER, IMAGE_USER)
        run(DEPLOY / "image-root.sh", BUILD, self.root)

    def argv(self, program, *args):
        """Mounts are of a namespace of its own, and gone with it."""
        wrap = ("set -e; mount --bind {0} {0}; mount -o remount,ro,bind {0}; "
                "mount --bind {2} {0}/var/lib/karez; mount --rbind /proc {0}/proc; "
                "if touch {0}/tmp/written 2>/dev/null; then echo the root can be written; exit 9; fi; "
                'exec chroot --userspec={1}:{1} {0} "$@"').format(self.root, IMAGE_USER, self.state)
        return ["unshare", "--mount", "sh", "-c", wrap, "sh", program, *args]

    def run(self, name, program, *args, **env):
        return self.world.guest(name, self.argv(program, *args), env=self.env(**env))

    def ask(self, program, *args, **env):
        done = subprocess.run(self.argv(program, *args), env=self.env(**env), text=True, check=False,
                              capture_output=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    @staticmethod
    def env(**more):
        keep = {k: v for k, v in os.environ.items() if k in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}
        return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **keep, **more}


@pytest.fixture
def image(world):
    if os.geteuid() != 0:
        pytest.skip("another root, another user: that takes root")
    return Image(world)


def test_the_image_holds_two_programs_and_what_they_load(image):
    programs, others = set(), set()
    for path in image.root.rglob("*"):
        name = str(path.relative_to(image.root))
        if path.is_symlink() or not path.is_file():
            assert path.is_dir(), name
        elif re.search(r"\.so(\.\d+)*$", name):
            assert name.startswith(("lib", "usr/lib")), name
        elif path.stat().st_mode & 0o111:
            programs.add(name)
        else:
            others.add(name)
        assert not path.stat().st_mode & 0o7000 or name == "tmp", name
    assert programs == {"usr/sbin/karezd", "usr/bin/karez"}
    assert others == {"etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"}
    for program in sorted(programs):
        code, said = image.ask("/" + program, "--version")
        assert code == 0 and "karez" in said, said


def test_the_image_serves(image, world):
    """Somebody else's root, no right to write: karezd and karez carry a visitor, and say whether they are ready."""
    target = world.closes(Target("web"))
    port = free_port()
    told = {"KAREZ_LISTEN": f"0.0.0.0:{port}", "KAREZ_STATE_DIR": "/var/lib/karez", "KAREZ_DOMAIN": "localhost",
            "KAREZ_ALLOW_REGISTRATION": "yes", "KAREZ_DRAIN_TIMEOUT": "2s"}
    code, said = image.ask("/usr/sbin/karezd", "ready", **told)
    assert code == 1 and "does not answer" in said, said
    server = image.run("karezd", "/usr/sbin/karezd", **told)
    server.wait_line("event=ready", 30)
    assert image.ask("/usr/sbin/karezd", "ready", **told) == (0, "")
    status = (f"/proc/{server.popen.pid}/status", f"/proc/{server.popen.pid}/root")
    assert f"Uid:\t{IMAGE_USER}\t{IMAGE_USER}\t{IMAGE_USER}\t{IMAGE_USER}" in open(status[0], encoding="ascii").read()
    assert os.readlink(status[1]) == str(image.root)
    agent = image.run("karez", "/usr/bin/karez", "http", "--server", f"http://127.0.0.1:{port}", "--name", "web",
                      str(target.port), HOME="/var/lib/karez")
    agent.wait_line("publicly accessible", 10)
    assert fetch(port, f"web.localhost:{port}").text() == HELLO
    assert agent.stop() == 0
    assert (image.state / "admin-token").stat().st_uid == IMAGE_USER
    code, said = image.ask("/usr/sbin/karezd", "drain", **told)
    assert code == 0 and "has drained and ended" in said, said
    assert server.wait() == 0
    assert image.ask("/usr/sbin/karezd", "ready", **told)[0] == 1


# ---- compose ----


@pytest.fixture
def compose(tmp_path):
    """(the prepared copy of deploy/, the file as docker-compose understands it)."""
    home = tmp_path / "tree" / "deploy"
    shutil.copytree(DEPLOY, home, ignore=shutil.ignore_patterns("secrets", "state", ".env"))
    run(home / "prepare.sh")
    return home, yaml.safe_load(run("docker-compose", "-f", home / "compose.yaml", "config", cwd=home))


def test_compose_gives_nothing_away(compose):
    home, said = compose
    assert set(said["services"]) == {"haproxy", "node1", "node2", "redis"}
    for name, service in said["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service["user"].startswith("0") and not service.get("privileged"), name
        assert "ports" not in service or name == "haproxy", name
        for variable, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|SECRET", variable) and len(str(value)) < 64, variable
    for secret in said["secrets"].values():
        mode = stat.S_IMODE(os.stat(secret["file"]).st_mode)
        assert mode & 0o077 == 0, f"{secret['file']} {mode:o}"
    known = said["services"]["node1"]["environment"]
    one, two = (said["services"][n]["environment"] for n in ("node1", "node2"))
    assert one["KAREZ_HOP_ADVERTISE"] != two["KAREZ_HOP_ADVERTISE"]
    assert set(known) <= option_names()
    assert seconds(said["services"]["node1"]["stop_grace_period"]) > seconds(known["KAREZ_DRAIN_TIMEOUT"])
    assert known["KAREZ_TRUSTED_PROXIES"] == said["services"]["haproxy"]["networks"]["back"]["ipv4_address"]
    assert (home / "secrets" / "karezd.yaml").read_text().split("@")[0].split(":")[-1] in \
        (home / "secrets" / "redis.conf").read_text()


def test_preparing_twice_changes_nothing(compose):
    home = compose[0]
    before = {f: f.read_bytes() for f in home.rglob("*") if f.is_file()}
    (home / ".env").write_text(before[home / ".env"].decode() + "MINE=1\n")
    run(home / "prepare.sh")
    (home / ".env").write_bytes(before[home / ".env"])
    assert {f: f.read_bytes() for f in home.rglob("*") if f.is_file()} == before
    keys = [run("sh", "-c", f"rm -rf {home}/secrets; {home}/prepare.sh >/dev/null; cat {home}/secrets/cluster-key")
            for _ in range(2)]
    assert keys[0] != keys[1] and all(re.fullmatch("[0-9a-f]{64}", k) for k in keys)


def test_karezd_would_start_as_compose_says(compose, world):
    home, said = compose
    told = dict(said["services"]["node1"]["environment"])
    told["KAREZ_CLUSTER_KEY_FILE"] = str(home / "secrets" / "cluster-key")
    done = subprocess.run([BUILD / "karezd", "check", "--config", home / "secrets" / "karezd.yaml"], text=True,
                          check=False, capture_output=True, env=world.env(**told))
    assert done.returncode == 0, done.stdout + done.stderr


# ---- HAProxy in front of a cluster ----


class ClusterFront:
    """deploy/haproxy/karez-cluster.cfg as it is, but for names and ports."""

    def __init__(self, world, nodes):
        self.port = free_port()
        text = (DEPLOY / "haproxy" / "karez-cluster.cfg").read_text()
        for old, new in [("bind :443\n", ""), ("bind :80", f"bind 127.0.0.1:{self.port}"),
                         *((f"node{i + 1}:8080", f"127.0.0.1:{n}") for i, n in enumerate(nodes))]:
            assert old in text, old
            text = text.replace(old, new)
        file = world.path / "cluster.cfg"
        file.write_text(text)
        run("haproxy", "-c", "-q", "-f", file)
        world.guest("haproxy", ["haproxy", "-db", "-f", file])
        wait_until(self._listens, 10, "HAProxy listens")

    def _listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def up(self):
        """Whoever drains still answers this, if it comes that far."""
        return fetch(self.port, "localhost", "/v1/health").status


def test_who_drains_gets_nothing_more_from_the_balancer(world):
    redis = Redis(world)
    ports = [free_port(), free_port()]
    nodes = [world.server("--trusted-proxies", "127.0.0.1", "--ssh-auto", "off", port=port, state=f"node{port}",
                          listen=f"auto:127.0.0.1:{port}", store=f"redis://127.0.0.1:{redis.port}/0", drain="1s")
             for port in ports]
    front = ClusterFront(world, ports)
    wait_until(lambda: front.up() == 200, 10, "HAProxy has seen a node")
    assert [front.up() for _ in range(20)] == [200] * 20
    nodes[0].expect_alive = False
    nodes[0].send_signal(signal.SIGTERM)
    while nodes[0].alive():
        assert front.up() == 200
    assert [front.up() for _ in range(50)] == [200] * 50
    assert nodes[0].wait() == 0


def test_the_balancer_says_whom_a_visitor_is(world):
    port = free_port()
    node = world.server("--trusted-proxies", "127.0.0.1", "--ssh-auto", "off", port=port, listen=f"auto:127.0.0.1:{port}")
    front = ClusterFront(world, [port, port])
    world.agent(node, world.closes(Target("web")).port, "--name", "web")
    wait_until(lambda: front.up() == 200, 10, "HAProxy has seen the node")
    got = fields_of(fetch(front.port, f"web.localhost:{front.port}", "/headers", source="127.0.0.50",
                          fields=[("X-Real-IP", "6.6.6.6")]))
    assert got["x-real-ip"] == ["127.0.0.50"] == got["x-forwarded-for"]


# ---- Kubernetes ----


def nodes_of(objects):
    """The pod template of the nodes, and its container."""
    pod = objects["Deployment", "karez"]["spec"]["template"]["spec"]
    assert [c["name"] for c in pod["containers"]] == ["karezd"]
    return pod, pod["containers"][0]


def check_pod(pod):
    """What "restricted" of the Pod Security Standards asks for, and a root that is not written."""
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}
        assert container["resources"]["limits"]["memory"]


def check_nodes(objects):
    pod, container = nodes_of(objects)
    settings = objects["ConfigMap", "karez"]["data"]
    told = set(settings) | {e["name"] for e in container["env"]} - {"POD_IP"}
    assert told <= option_names()
    check_pod(pod)
    assert container["readinessProbe"]["httpGet"] == {"path": "/v1/ready", "port": "http"}
    assert container["livenessProbe"]["httpGet"]["path"] == "/v1/health"
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["/usr/sbin/karezd", "drain"]
    assert pod["terminationGracePeriodSeconds"] > seconds(settings["KAREZ_DRAIN_TIMEOUT"]) + 10
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert settings["KAREZ_LISTEN"].endswith(f":{ports['http']}")
    assert settings["KAREZ_HOP_LISTEN"].endswith(f":{ports['hop']}")
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert env["KAREZ_HOP_ADVERTISE"] == f"$(POD_IP):{ports['hop']}"
    mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
    assert settings["KAREZ_CLUSTER_KEY_FILE"].startswith("/etc/karez-cluster/") and mounts["/etc/karez-cluster"]["readOnly"]
    secret = next(v["secret"] for v in pod["volumes"] if "secret" in v)
    assert secret["defaultMode"] & 0o007 == 0
    assert "/var/lib/karez" in mounts
    labels = objects["Deployment", "karez"]["spec"]["template"]["metadata"]["labels"].items()
    for kind, name in [("Service", "karez"), ("Service", "karez-nodes")]:
        assert set(objects[kind, name]["spec"]["selector"].items()) <= set(labels)
        assert {p["targetPort"] for p in objects[kind, name]["spec"]["ports"]} <= set(ports)
    assert objects["Service", "karez-nodes"]["spec"]["clusterIP"] == "None"
    assert set(objects["PodDisruptionBudget", "karez"]["spec"]["selector"]["matchLabels"].items()) <= set(labels)
    scaler = objects["HorizontalPodAutoscaler", "karez"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "karez"}
    assert scaler["minReplicas"] >= 2 and "replicas" not in objects["Deployment", "karez"]["spec"]


def check_hop_policy(objects):
    """Hops come from nodes, and from nobody else."""
    policy = objects["NetworkPolicy", "karez"]["spec"]
    for rule in policy["ingress"]:
        if any(p["port"] == "hop" for p in rule["ports"]):
            assert rule["from"] == [{"podSelector": policy["podSelector"]}] and len(rule["ports"]) == 1
    assert sorted(p["port"] for rule in policy["ingress"] for p in rule["ports"]) == ["hop", "http"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}


def test_kubernetes_takes_every_file(tmp_path):
    objects, left_out = manifests()
    judge_objects(tmp_path / "all.yaml", yaml.safe_dump_all(objects.values()))
    for name in left_out:
        judge_objects(tmp_path / name, (KUBERNETES / name).read_text())


def test_kubernetes_objects_fit_together():
    objects, left_out = manifests()
    assert left_out == {"hpa-visitors.yaml"}
    check_nodes(objects)
    check_hop_policy(objects)
    for name in ("StatefulSet", "redis"), ("Deployment", "karez"):
        check_pod(objects[name]["spec"]["template"]["spec"])
    redis = objects["NetworkPolicy", "karez-redis"]["spec"]
    assert redis["ingress"][0]["from"] == [{"podSelector": objects["NetworkPolicy", "karez"]["spec"]["podSelector"]}]
    assert all(d["metadata"].get("namespace") == "karez" for k, d in objects.items() if k[0] != "Namespace")
    by_visitors = objects_of((KUBERNETES / "hpa-visitors.yaml").read_text())["HorizontalPodAutoscaler", "karez"]
    by_cpu = objects["HorizontalPodAutoscaler", "karez"]
    assert [m["type"] for m in by_visitors["spec"]["metrics"]] == ["Pods", "Resource"]
    by_visitors["spec"]["metrics"].pop(0)
    assert by_visitors == by_cpu


# ---- Helm ----


def schema():
    return json.loads((CHART / "values.schema.json").read_text())


def test_the_values_fit_their_schema():
    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.validate(chart_values(), schema(), cls=jsonschema.Draft7Validator)
    declared = schema()["properties"]
    assert set(chart_values()) == set(declared) - {"global"}


@pytest.mark.parametrize("why, more", [
    ("no domain", {"domain": ""}),
    ("a domain with a scheme", {"domain": "https://example.com"}),
    ("a name that nobody knows", {"bogus": 1}),
    ("a key that can be guessed", {"clusterKey": "short"}),
    ("no URL of Redis", {"redisUrl": "localhost:6379"}),
    ("a variable that is not karezd's", {"settings": {"PATH": "/"}}),
    ("a number as a variable", {"settings": {"KAREZ_MAX_SESSIONS": 5}}),
    ("no time to drain", {"drainSeconds": 0}),
    ("a service of no kind", {"service": {"type": "Headless"}}),
    ("nobody left", {"podDisruptionBudget": {"maxUnavailable": 0}}),
])
def test_wrong_values_are_refused(why, more):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(chart_values(**more), schema(), cls=jsonschema.Draft7Validator)


def plain(thing):
    """Without what Helm notes on every object."""
    drop = {"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
    if isinstance(thing, dict):
        return {k: plain(v) for k, v in thing.items() if k not in drop}
    return [plain(v) for v in thing] if isinstance(thing, list) else thing


def test_the_chart_makes_the_same_objects():
    made = objects_of(render(chart_values(trustedProxies=["10.0.0.0/8"],
                                          image={"repository": "karez", "tag": "latest", "pullPolicy": "IfNotPresent"})))
    check_nodes(made)
    check_hop_policy(made)
    written, _ = manifests()
    annotations = made["Deployment", "karez"]["spec"]["template"]["metadata"].pop("annotations")
    assert set(annotations) == {"checksum/config"}
    for name, one in made.items():
        assert plain(one) == plain(written[name]), name
    theirs = {"Namespace", "StatefulSet"}
    assert set(written) - set(made) == {k for k in written if k[0] in theirs or "redis" in k[1]}


FULL = {
    "existingSecret": "", "clusterKey": "k" * 32, "redisUrl": "redis://:p@r:6379/0", "publicUrl": "https://t.example",
    "settings": {"KAREZ_LOG_LEVEL": "debug"}, "imagePullSecrets": [{"name": "mine"}], "drainSeconds": 7,
    "podAnnotations": {"a/b": "yes"}, "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}], "affinity": {"nodeAffinity": {}},
    "ingress": {"enabled": True, "className": "nginx", "annotations": {"x/y": "1"}, "tlsSecret": "wild"},
    "service": {"type": "LoadBalancer", "port": 8443, "annotations": {"l/b": "internal"}},
}


def test_every_value_is_used(tmp_path):
    values = chart_values(**FULL)
    values["autoscaling"]["visitors"]["enabled"] = True
    values["networkPolicy"]["from"] = [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]
    jsonschema.validate(values, schema(), cls=jsonschema.Draft7Validator)
    text = render(values, release="west")
    judge_objects(tmp_path / "full.yaml", text)
    made = objects_of(text)
    pod = made["Deployment", "west-karez"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 22 and pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["imagePullSecrets"] == [{"name": "mine"}] and pod["tolerations"] and "affinity" in pod
    secret = made["Secret", "west-karez-cluster"]["stringData"]
    assert secret == {"cluster-key": "k" * 32, "redis-url": "redis://:p@r:6379/0"}
    settings = made["ConfigMap", "west-karez"]["data"]
    assert settings["KAREZ_LOG_LEVEL"] == "debug" and settings["KAREZ_DRAIN_TIMEOUT"] == "7s"
    assert settings["KAREZ_PUBLIC_URL"] == "https://t.example" and "KAREZ_TRUSTED_PROXIES" not in settings
    assert made["Service", "west-karez"]["spec"]["type"] == "LoadBalancer"
    assert [r["host"] for r in made["Ingress", "west-karez"]["spec"]["rules"]] == \
        ["tunnel.example.com", "*.tunnel.example.com"]
    assert made["HorizontalPodAutoscaler", "west-karez"]["spec"]["metrics"][0]["type"] == "Pods"
    assert "from" in made["NetworkPolicy", "west-karez"]["spec"]["ingress"][0]
    for one in made.values():
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "west"
    selector = made["Deployment", "west-karez"]["spec"]["selector"]["matchLabels"]
    assert selector["app.kubernetes.io/instance"] == "west", "two releases in one namespace share no pods"


def test_a_chart_without_its_secrets_says_so():
    with pytest.raises(AssertionError, match="clusterKey, or existingSecret"):
        render(chart_values(existingSecret=""))
    with pytest.raises(AssertionError, match="redisUrl, or existingSecret"):
        render(chart_values(existingSecret="", clusterKey="k" * 32))
