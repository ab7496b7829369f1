"""Takes out of zkCli's output what differs between two runs, and puts the command before its answer.

zkCli does not echo, so `run` asks for the node /@N before command N; the complaint about it marks the place. Watch
events are printed by another thread than answers: they keep their order but move to the end.
"""

import re
import sys

commands = [line.rstrip("\n") for line in open(sys.argv[1]) if line.strip()]
zxids, events, out = {}, [], []


def zxid(match):
    number = match.group(2)
    if number != "0x0":
        number = zxids.setdefault(number, "z%d" % (len(zxids) + 1))
    return match.group(1) + number


started = False
for line in sys.stdin.read().splitlines():
    marker = re.fullmatch(r"Node does not exist: /@(\d+)", line)
    if line.startswith("WatchedEvent "):
        events.append(line)
    elif marker:
        started = True
        out.append("> " + commands[int(marker.group(1)) - 1])
    elif line in ("", "WATCHER::") or not started:
        continue
    else:
        line = re.sub(r"^([cmp]Zxid = )(0x[0-9a-f]+)$", zxid, line)
        line = re.sub(r"^([cm]time = )(?!Thu Jan 01 00:00:00 UTC 1970).*$", r"\1<time>", line)
        line = re.sub(r"^(server\.\d=127\.0\.0\.1):\d{5}:\d{5}:", r"\1:<quorum>:<election>:", line)
        line = re.sub(r"^(ephemeralOwner = )0x0*[1-9a-f][0-9a-f]*$", r"\1<session>", line)
        out.append(line)

# Sets have no order: identities, children met on a walk, the ephemerals of a session.
sections = []
for line in out:
    if line.startswith("> "):
        sections.append([])
    sections[-1].append(line)
for section in sections:
    if section[0].startswith(("> whoami", "> ls -R")):
        section[1:] = sorted(section[1:])
    for n, line in enumerate(section):
        if line.startswith("[") and line.endswith("]"):
            section[n] = "[%s]" % ", ".join(sorted(line[1:-1].split(", ")))
    print("\n".join(section))
print("# watch events, in order")
print("\n".join(events))
