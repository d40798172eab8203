"""What stands in deploy/, as its tests read it, and the programs that judge it."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys

import yaml

from karez import BUILD, TREE

DEPLOY = TREE / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
CHART = DEPLOY / "helm" / "karez"
TOOLS = TREE / "build-tools"  # what scripts/deps.sh has put there
KUBERNETES_VERSIONS = ("1.27.0", "1.37.0")  # the first that the chart takes, and the newest known
# Not all of a chart's notes are objects.
NOT_OBJECTS = ("NOTES.txt",)


def run(*argv, cwd=TREE, stdin=None, env=None):
    """Run a program that must succeed; what it printed."""
    done = subprocess.run([str(a) for a in argv], cwd=cwd, input=stdin, text=True, check=False,
                          capture_output=True, env={**os.environ, **(env or {})}, timeout=120)
    assert done.returncode == 0, f"{argv[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def tool(name):
    """A program that scripts/deps.sh installs; without it nothing here may pass."""
    found = TOOLS / "bin" / name
    assert found.exists(), f"{found} is missing: scripts/deps.sh test"
    return found


def objects_of(text):
    """{(kind, name): object} of YAML documents."""
    docs = [d for d in yaml.safe_load_all(text) if d]
    named = {(d["kind"], d["metadata"]["name"]): d for d in docs}
    assert len(named) == len(docs), "two objects of one name"
    return named


def manifests():
    """The objects of deploy/kubernetes that its kustomization names, and the files that it leaves out."""
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    found = objects_of("\n---\n".join((KUBERNETES / f).read_text() for f in listed))
    files = {f.name for f in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    return found, files - set(listed)


def judge_objects(path, text):
    """By the schemas of Kubernetes: unknown members are errors, too."""
    path.write_text(text)
    for version in KUBERNETES_VERSIONS:
        said = run(sys.executable, "-m", "kubernetes_validate", "-k", version, "--strict", path,
                   env={"PYTHONPATH": str(TOOLS)})
        assert "WARN" not in said and said.count(" passed ") == len(objects_of(text)), said


def chart_values(**more):
    """values.yaml with what has no default."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    values.update({"domain": "tunnel.example.com", "existingSecret": "karez-cluster"}, **more)
    return values


def render(values, release="karez"):
    """The chart's objects, as text."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    context = {"Values": values,
               "Release": {"Name": release, "Namespace": "karez", "Service": "Helm"},
               "Chart": {"Name": chart["name"], "Version": chart["version"],
                         "AppVersion": chart["appVersion"]}}
    go = shutil.which("go")
    assert go is not None, "go is missing: scripts/deps.sh test"
    text = run(go, "run", TREE / "test" / "e2e" / "chart" / "render.go", CHART / "templates",
               stdin=json.dumps(context))
    parts = re.split(r"^---\n# Source: (\S+)\n", text, flags=re.M)
    assert parts[0] == ""
    return "\n---\n".join(body for name, body in zip(parts[1::2], parts[2::2])
                          if name not in NOT_OBJECTS)


def option_names():
    """KAREZ_* variables that karezd knows."""
    return set(re.findall(r"KAREZ_[A-Z_]+", run(BUILD / "karezd", "--help").replace("\n", "")))


def ignored(path, rules):
    """Does .dockerignore keep this path out of the image's context? The last rule that fits counts; one for a folder is for
    all in it."""
    out = False
    for rule in rules:
        keep = rule.startswith("!")
        pattern = rule.lstrip("!").replace("**/", "")
        anywhere = "**/" in rule
        names = path.split("/")
        heads = ["/".join(names[:i + 1]) for i in range(len(names))]
        if any(fnmatch.fnmatchcase(head.rpartition("/")[2] if anywhere else head, pattern)
               and (anywhere or head.count("/") == pattern.count("/")) for head in heads):
            out = not keep
    return out


def context_files():
    """What `docker build` would send."""
    rules = [line for line in (TREE / ".dockerignore").read_text().splitlines()
             if line and not line.startswith("#")]
    found = []
    for folder, folders, files in os.walk(TREE):
        rel = os.path.relpath(folder, TREE)
        if rel == ".":
            folders[:] = [f for f in folders if f not in (".git", "build-tools") and not f.startswith("build")]
        found += [p for p in (os.path.normpath(os.path.join(rel, f)) for f in files)
                  if not ignored(p, rules)]
    return found
