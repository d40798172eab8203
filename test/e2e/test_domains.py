"""Custom domains: who proves by the DNS that a name is his has it served, and nobody else does."""

import re

import pytest

from dns_server import DnsServer
from karez import SANITIZED, free_port, wait_until
from servers import Target
from visitor import Visitor, fetch

HOST = "app.example.org"
FIELD = "ingress.http.alt_names"


@pytest.fixture
def dns(world):
    return world.closes(DnsServer())


@pytest.fixture
def server(world, dns):
    return world.server("--resolver", dns.address)


def domains(*names):
    return {"ingress": {"http": {"alt_names": list(names)}}}


def served(world, server, api, name):
    """An agent that serves the account's tunnel."""
    target = world.closes(Target(name))
    return world.agent(server, target.port, "--name", name, config=name,
                       env={"KAREZ_TOKEN": api.credential})


def page(server, host=HOST):
    return fetch(server.port, host)


def records(api, tunnel="demo", host=HOST):
    """What a refusal tells to put into the DNS: {type: (name, value)}."""
    problem = api.patch(f"/v1/tunnels/{tunnel}", domains(host)).refused(400, "INVAL", FIELD)
    found = {kind: (name, value) for name, kind, value in
             re.findall(r'(?:"| )([^ "]+) (CNAME|TXT) ([^ "]+)"', problem["detail"])}
    assert set(found) == {"CNAME", "TXT"}, problem
    return found


def prove(dns, record, kind):
    name, value = record[kind]
    dns.set(name, kind, value)


# ---- proofs ----

def test_the_refusal_names_both_records(server):
    anna = server.account()
    anna.tunnel("demo")
    found = records(anna)
    assert found["CNAME"] == (HOST, "demo.localhost")
    assert found["TXT"][0] == f"_karez.{HOST}"
    assert re.fullmatch("karez-verify=[0-9a-f]{32}", found["TXT"][1])
    assert anna.get("/v1/tunnels/demo").json()["ingress"]["http"]["alt_names"] == []
    assert records(anna) == found, "what a person has copied stays right"


@pytest.mark.parametrize("kind", ["CNAME", "TXT"])
def test_either_record_is_a_proof_and_visitors_reach_it(world, server, dns, kind):
    anna = server.account()
    anna.tunnel("demo")
    prove(dns, records(anna), kind)
    tunnel = anna.patch("/v1/tunnels/demo", domains(HOST)).want(200).json()
    assert tunnel["ingress"]["http"]["alt_names"] == [HOST]
    assert tunnel["ingress"]["http"]["urls"] == [f"http://demo.localhost:{server.port}",
                                                 f"http://{HOST}:{server.port}"]
    assert page(server).status == 503, "nobody serves it yet"
    served(world, server, anna, "demo")
    for host in (HOST, HOST.upper(), HOST + ".", f"{HOST}:{server.port}"):
        assert page(server, host).text() == "hello from demo\n", host
    assert page(server, "x." + HOST).status == 404
    assert page(server, "demo.localhost").text() == "hello from demo\n"


def test_a_put_can_bring_the_domain_at_once(server, dns):
    anna = server.account()
    dns.set(HOST, "CNAME", "demo.localhost")
    made = anna.put("/v1/tunnels/demo", domains(HOST)).want(201).json()
    assert made["ingress"]["http"]["alt_names"] == [HOST]
    random = anna.post("/v1/tunnels", domains("other.example.org"))
    random.refused(400, "INVAL", FIELD)
    assert anna.account()["usage"]["tunnels"] == 1, "what is refused leaves nothing"


@pytest.mark.parametrize("why,found", [
    ("another tunnel's name", {(HOST, "CNAME"): ["other.localhost"]}),
    ("a name that only ends alike", {(HOST, "CNAME"): ["xdemo.localhost"]}),
    ("a name that goes on", {(HOST, "CNAME"): ["demo.localhost.evil.example"]}),
    ("a text at the name itself", {(HOST, "TXT"): ["HERE"]}),
    ("a text that goes on", {(f"_karez.{HOST}", "TXT"): ["HERE0"]}),
    ("a text with one more in front", {(f"_karez.{HOST}", "TXT"): ["xHERE"]}),
    ("a text that is cut", {(f"_karez.{HOST}", "TXT"): ["karez-verify=" + "0" * 31]}),
    ("only the word", {(f"_karez.{HOST}", "TXT"): ["karez-verify="]}),
    ("an empty text", {(f"_karez.{HOST}", "TXT"): [""]}),
    ("an alias that turns in a circle", {(HOST, "CNAME"): ["b.example"],
                                         ("b.example", "CNAME"): [HOST]}),
], ids=lambda v: v if isinstance(v, str) else "")
def test_what_proves_nothing(server, dns, why, found):
    anna = server.account()
    anna.tunnel("demo")
    text = records(anna)["TXT"][1]
    for (name, kind), values in found.items():
        dns.set(name, kind, *(v.replace("HERE", text) for v in values))
    anna.patch("/v1/tunnels/demo", domains(HOST)).refused(400, "INVAL", FIELD)
    assert page(server).status == 404


def test_one_good_record_among_others_is_enough(server, dns):
    anna = server.account()
    anna.tunnel("demo")
    name, text = records(anna)["TXT"]
    dns.set(name, "TXT", "v=spf1 -all", "x" * 2000, text)  # too long for a datagram
    anna.patch("/v1/tunnels/demo", domains(HOST)).want(200)
    assert dns.by_tcp > 0
    dns.set("far.example.org", "CNAME", "b.example")
    dns.set("b.example", "CNAME", "c.example")
    dns.set("c.example", "CNAME", "DEMO.LocalHost")
    both = anna.patch("/v1/tunnels/demo", domains(HOST, "Far.Example.ORG.")).want(200).json()
    assert both["ingress"]["http"]["alt_names"] == [HOST, "far.example.org"]


def test_a_proof_is_for_one_account_only(server, dns):
    anna, bert = server.account(), server.account()
    anna.tunnel("demo")
    bert.tunnel("berts")
    of_anna, of_bert = records(anna), records(bert, "berts")
    assert of_anna["TXT"][1] != of_bert["TXT"][1]
    prove(dns, of_anna, "TXT")
    bert.patch("/v1/tunnels/berts", domains(HOST)).refused(400, "INVAL", FIELD)
    anna.patch("/v1/tunnels/demo", domains(HOST)).want(200)


def test_all_of_a_list_or_nothing(server, dns):
    anna = server.account()
    anna.tunnel("demo")
    dns.set(HOST, "CNAME", "demo.localhost")
    answer = anna.patch("/v1/tunnels/demo", domains(HOST, "unproven.example.org"))
    assert "unproven.example.org" in answer.refused(400, "INVAL", FIELD)["detail"]
    assert page(server).status == 404
    assert anna.get("/v1/tunnels/demo").json()["ingress"]["http"]["alt_names"] == []


# ---- changes ----

def test_a_domain_that_is_removed_is_404_at_once(world, server, dns):
    anna = server.account()
    anna.tunnel("demo")
    dns.set(HOST, "CNAME", "demo.localhost")
    dns.set("two.example.org", "CNAME", "demo.localhost")
    anna.patch("/v1/tunnels/demo", domains(HOST, "two.example.org")).want(200)
    served(world, server, anna, "demo")
    with Visitor(server.port) as v:  # also on a connection that is open already
        assert v.get(HOST).status == 200
        anna.patch("/v1/tunnels/demo", domains("two.example.org")).want(200)
        assert v.get(HOST).status == 404
        assert v.get("two.example.org").status == 200
        anna.patch("/v1/tunnels/demo", domains()).want(200)
        assert v.get("two.example.org").status == 404
        assert v.get("demo.localhost").status == 200


def test_a_domain_goes_with_its_tunnel_and_its_account(server, dns):
    anna, bert = server.account(), server.account()
    dns.set(HOST, "CNAME", "demo.localhost")
    anna.put("/v1/tunnels/demo", domains(HOST)).want(201)
    assert page(server).status == 503
    anna.delete("/v1/tunnels/demo").want(204)
    assert page(server).status == 404
    anna.put("/v1/tunnels/demo", domains(HOST)).want(201)
    anna.delete("/v1/account").want(204)
    assert page(server).status == 404
    bert.put("/v1/tunnels/demo", domains(HOST)).want(201)
    assert page(server).status == 503


def test_an_unchanged_domain_is_not_asked_about_again(server, dns):
    anna = server.account()
    dns.set(HOST, "CNAME", "demo.localhost")
    tunnel = anna.put("/v1/tunnels/demo", domains(HOST)).want(201).json()
    dns.clear(HOST)
    asked = len(dns.asked)
    anna.put("/v1/tunnels/demo", tunnel).want(200)
    anna.patch("/v1/tunnels/demo", {"headers": {"rewrite": True}, **domains(HOST)}).want(200)
    assert len(dns.asked) == asked and page(server).status == 503


def test_a_domain_moves_between_the_tunnels_of_an_account(world, server, dns):
    anna = server.account()
    anna.tunnel("one")
    anna.tunnel("two")
    prove(dns, records(anna, "one"), "TXT")
    anna.patch("/v1/tunnels/one", domains(HOST)).want(200)
    one = served(world, server, anna, "one")
    served(world, server, anna, "two")
    assert page(server).text() == "hello from one\n"
    anna.patch("/v1/tunnels/two", domains(HOST)).want(200)
    assert page(server).text() == "hello from two\n"
    assert anna.get("/v1/tunnels/one").json()["ingress"]["http"]["alt_names"] == []
    anna.delete("/v1/tunnels/one").want(204)
    assert one.wait() == 1 and "deleted" in one.text("err")
    assert page(server).text() == "hello from two\n", "it left with nothing"


def test_a_domain_is_taken_over_when_the_old_proof_is_gone_and_not_before(world, server, dns):
    anna, bert = server.account(), server.account()
    anna.tunnel("demo")
    bert.tunnel("berts")
    prove(dns, records(anna), "CNAME")
    anna.patch("/v1/tunnels/demo", domains(HOST)).want(200)
    annas = served(world, server, anna, "demo")
    served(world, server, bert, "berts")

    bert.patch("/v1/tunnels/berts", domains(HOST)).refused(400, "INVAL", FIELD)
    prove(dns, records(bert, "berts"), "TXT")  # both are proven now: who has it keeps it
    bert.patch("/v1/tunnels/berts", domains(HOST)).refused(409, "EXISTS", FIELD)
    assert page(server).text() == "hello from demo\n"
    dns.clear(HOST)
    dns.broken = {(HOST, "CNAME")}  # that the DNS is down takes nothing from anybody
    bert.patch("/v1/tunnels/berts", domains(HOST)).refused(409, "EXISTS", FIELD)
    assert page(server).text() == "hello from demo\n"
    dns.broken = set()
    bert.patch("/v1/tunnels/berts", domains(HOST)).want(200)
    assert page(server).text() == "hello from berts\n"
    assert anna.get("/v1/tunnels/demo").json()["ingress"]["http"]["alt_names"] == []
    anna.patch("/v1/tunnels/demo", {"enabled": True}).want(200)
    anna.delete("/v1/tunnels/demo").want(204)
    assert annas.wait() == 1
    assert page(server).text() == "hello from berts\n"


def test_the_owner_can_keep_a_domain_by_a_text_while_its_alias_moves(server, dns):
    anna, bert = server.account(), server.account()
    anna.tunnel("demo")
    bert.tunnel("berts")
    prove(dns, records(anna), "TXT")
    anna.patch("/v1/tunnels/demo", domains(HOST)).want(200)
    prove(dns, records(bert, "berts"), "CNAME")
    bert.patch("/v1/tunnels/berts", domains(HOST)).refused(409, "EXISTS", FIELD)


def test_a_restart_keeps_domains(world, server, dns):
    anna = server.account()
    dns.set(HOST, "CNAME", "demo.localhost")
    anna.put("/v1/tunnels/demo", domains(HOST)).want(201)
    assert server.stop() == 0
    dns.mode = "silent"
    again = world.server("--resolver", dns.address, port=server.port)
    assert page(again).status == 503
    served(world, again, anna, "demo")
    assert page(again).text() == "hello from demo\n"
    assert again.api(anna.credential).get("/v1/tunnels/demo").json()["ingress"]["http"][
        "alt_names"] == [HOST]


# ---- what does not work ----

@pytest.mark.parametrize("mode", ["silent", "broken", "garbage"])
def test_a_dns_that_does_not_answer_is_said_and_nothing_else_waits(world, server, dns, mode):
    anna = server.account()
    anna.tunnel("demo")
    served(world, server, anna, "demo")
    dns.mode = mode
    with Visitor(server.port, timeout=60) as v:
        body = b'{"ingress":{"http":{"alt_names":["app.example.org"]}}}'
        v.ask(anna.host, "/v1/tunnels/demo", "PATCH",
              [("Authorization", f"Bearer {anna.credential}"),
               ("Content-Type", "application/json")], body)
        wait_until(lambda: dns.asked, 5, "the DNS is asked")
        assert fetch(server.port, "demo.localhost").status == 200
        anna.get("/v1/tunnels/demo").want(200)
        answer = v.answer("PATCH")
    assert answer.status in (400, 503), answer.body
    problem = answer.json()
    assert "DNS gave no answer" in problem["detail"] and HOST in problem["detail"]
    dns.mode = "answer"
    dns.set(HOST, "CNAME", "demo.localhost")
    anna.patch("/v1/tunnels/demo", domains(HOST)).want(200)


def test_a_resolver_that_is_not_there(world):
    server = world.server("--resolver", f"127.0.0.1:{free_port()}")
    anna = server.account()
    anna.tunnel("demo")
    answer = anna.patch("/v1/tunnels/demo", domains(HOST))
    assert "DNS gave no answer" in answer.want(400, 503).json()["detail"]
    anna.patch("/v1/tunnels/demo", {"enabled": True}).want(200)


def test_who_hangs_up_while_the_dns_is_asked_leaves_nothing(server, dns):
    anna = server.account()
    anna.tunnel("demo")
    dns.mode = "silent"
    for i in range(20):
        body = b'{"ingress":{"http":{"alt_names":["h%d.example.org"]}}}' % i
        with Visitor(server.port) as v:
            v.ask(anna.host, "/v1/tunnels/demo", "PATCH",
                  [("Authorization", f"Bearer {anna.credential}"),
                   ("Content-Type", "application/json")], body)
            wait_until(lambda: any(n == f"h{i}.example.org" for n, _ in dns.asked), 5, "asked")
            v.reset()
    assert anna.get("/v1/tunnels/demo").json()["ingress"]["http"]["alt_names"] == []
    if not SANITIZED:
        assert server.rss() < 64 << 20


@pytest.mark.parametrize("names,status,field", [
    (["x.example.org"] * 2, 400, FIELD),
    ([f"h{i}.example.org" for i in range(65)], 400, FIELD),
    (["demo.localhost"], 400, FIELD), (["localhost"], 400, FIELD),
    (["127.0.0.1"], 400, FIELD), (["[::1]"], 400, FIELD),
    (["a.example.org:80"], 400, FIELD), (["*.example.org"], 400, FIELD),
    (["a..example.org"], 400, FIELD), (["a b.example.org"], 400, FIELD),
    (["-a.example.org"], 400, FIELD), (["x" * 64 + ".example.org"], 400, FIELD),
    ([".".join(["abcdefgh"] * 29)], 400, FIELD)])
def test_names_that_cannot_be_domains_are_not_asked_about(server, dns, names, status, field):
    anna = server.account()
    anna.tunnel("demo")
    problem = anna.patch("/v1/tunnels/demo", domains(*names)).refused(status, "INVAL")
    assert problem["field"].startswith(field)
    assert dns.asked == []


def test_questions_hold_nothing_but_the_name(server, dns):
    anna = server.account()
    anna.tunnel("demo")
    anna.patch("/v1/tunnels/demo", domains("APP.Example.org.")).refused(400)
    assert set(dns.asked) == {(HOST, "CNAME"), (f"_karez.{HOST}", "TXT")}
