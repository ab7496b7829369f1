"""Four letters on the client port, as operators and their scripts send them."""

import os
import re
import socket

import pytest


def ask(words, half_close=False):
    host, port = os.environ["INTEROP_HOSTS"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as s:
        s.sendall(words)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    return answer.decode()


def table(text, separator):
    return dict(line.split(separator, 1) for line in text.splitlines() if separator in line)


def test_ruok(zk):
    assert zk.command(b"ruok") == "imok"


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n"])
def test_as_netcat_sends_it(tail):
    assert ask(b"ruok" + tail, half_close=True) == "imok"


def test_isro(zk):
    assert zk.command(b"isro") == "rw"


def test_srvr(zk):
    text = ask(b"srvr")
    lines = text.splitlines()
    assert re.match(r"Zookeeper version: \d+\.\d+\.\d+.*, built on ", lines[0])
    assert re.fullmatch(r"Latency min/avg/max: \d+/\d+(\.\d+)?/\d+", lines[1])
    assert [line.split(":")[0] for line in lines[2:]] == [
        "Received", "Sent", "Connections", "Outstanding", "Zxid", "Mode", "Node count",
    ]
    assert "Mode: standalone" in lines
    assert re.search(r"^Zxid: 0x[0-9a-f]+$", text, re.M)
    assert text.endswith("\n")


def test_server_version(zk):
    assert zk.server_version() >= (3, 8)


def test_srvr_counts_nodes(zk, base):
    def count():
        return int(re.search(r"^Node count: (\d+)$", ask(b"srvr"), re.M).group(1))

    before = count()
    zk.create(base + "/a")
    assert count() == before + 1


def test_stat(zk):
    text = ask(b"stat")
    assert text.startswith("Zookeeper version: ")
    assert "\nClients:\n" in text
    assert re.search(r"^ /127\.0\.0\.1:\d+\[[0-9a-f]+\]\(queued=\d+,recved=\d+,sent=\d+\)$", text, re.M)
    assert re.search(r"^ /127\.0\.0\.1:\d+\[[0-9a-f]+\]\(queued=0,recved=1,sent=0\)$", text, re.M), "the asker itself"
    assert re.search(r"\n\nLatency min/avg/max: ", text)


def test_cons(zk):
    text = ask(b"cons")
    assert "sid=0x%x," % zk.client_id[0] in text
    mine = re.search(r"^ /127\.0\.0\.1:\d+\[[0-9a-f]+\]\((.*sid=0x%x,.*)\)$" % zk.client_id[0], text, re.M).group(1)
    keys = [part.split("=")[0] for part in mine.split(",")]
    assert keys[:4] == ["queued", "recved", "sent", "sid"]
    assert set(keys[4:]) <= {"lop", "est", "to", "lcxid", "lzxid", "lresp", "llat", "minlat", "avglat", "maxlat"}
    assert "to=10000" in mine


def test_the_handshake_is_a_packet(connect):
    zk = connect()
    counts = r"recved=(\d+),sent=(\d+),sid=0x%x," % zk.client_id[0]
    received, sent = map(int, re.search(counts, ask(b"cons")).groups())
    assert (received, sent) == (1, 1)
    zk.exists("/")
    assert tuple(map(int, re.search(counts, ask(b"cons")).groups())) == (received + 1, sent + 1)


def test_mntr(zk, base):
    zk.create(base + "/e", ephemeral=True)
    found = table(ask(b"mntr"), "\t")
    assert found["zk_server_state"] == "standalone"
    assert re.match(r"\d+\.\d+\.\d+", found["zk_version"])
    for name in (
        "avg_latency max_latency min_latency packets_received packets_sent num_alive_connections outstanding_requests"
        " znode_count watch_count ephemerals_count approximate_data_size open_file_descriptor_count"
        " max_file_descriptor_count uptime global_sessions local_sessions"
    ).split():
        assert float(found["zk_" + name]) >= 0, name
    assert int(found["zk_ephemerals_count"]) >= 1
    assert all(name.startswith("zk_") for name in found)


def test_conf(zk):
    found = table(ask(b"conf"), "=")
    assert found["clientPort"] == os.environ["INTEROP_HOSTS"].rsplit(":", 1)[1]
    assert (found["tickTime"], found["minSessionTimeout"], found["maxSessionTimeout"]) == ("500", "1000", "60000")
    assert found["maxClientCnxns"] == "0"
    assert found["dataDir"].endswith("/version-2")
    assert "serverId" in found


def test_envi(zk):
    text = ask(b"envi")
    assert text.startswith("Environment:\n")
    assert {"zookeeper.version", "host.name", "os.name", "user.name", "user.dir"} <= set(table(text, "="))


def test_dump_shows_sessions_and_their_ephemerals(zk, base):
    zk.create(base + "/e", ephemeral=True)
    text = ask(b"dump")
    assert text.startswith("SessionTracker dump:\nSession Sets (")
    assert re.search(r"^\d+ expire at .+:$", text, re.M)
    assert "\t0x%x\n" % zk.client_id[0] in text
    assert re.search(r"^ephemeral nodes dump:\nSessions with Ephemerals \(\d+\):$", text, re.M)
    assert "\n0x%x:\n\t%s/e\n" % (zk.client_id[0], base) in text


def test_watches(zk, base):
    zk.exists(base + "/w", watch=lambda event: None)
    assert re.fullmatch(r"\d+ connections watching \d+ paths\nTotal watches:\d+\n?", ask(b"wchs"))
    assert "0x%x\n\t%s/w\n" % (zk.client_id[0], base) in ask(b"wchc")
    assert "%s/w\n\t0x%x\n" % (base, zk.client_id[0]) in ask(b"wchp")


def test_dirs():
    found = table(ask(b"dirs"), ": ")
    assert set(found) == {"datadir_size", "logdir_size"}
    assert int(found["logdir_size"]) >= 0


def test_hash():
    assert re.fullmatch(r"([0-9a-f]+: -?\d+\n)*", ask(b"hash"))


def test_resets(zk):
    assert ask(b"srst") == "Server stats reset.\n"
    received = int(re.search(r"Received: (\d+)", ask(b"srvr")).group(1))
    assert received < 20
    assert ask(b"crst") == "Connection stats reset.\n"


def test_trace_masks():
    assert ask(b"gtmk") == "306"
    assert ask(b"stmk" + (306).to_bytes(8, "big")) == "306"


def test_an_unknown_word_gets_silence():
    assert ask(b"abcd") == ""


def test_a_word_in_pieces():
    host, port = os.environ["INTEROP_HOSTS"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as s:
        for letter in (b"r", b"u", b"o", b"k"):
            s.sendall(letter)
        assert s.recv(100) == b"imok"
        assert s.recv(100) == b""
