"""Prints golden.txt with the answers of decisions.txt in their places; one that has no place is an error."""

import sys


def read(lines):
    """(section, name, line) of each line; section headings and comments have no name."""
    section = None
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("# "):
            section = line[2:]
        name = None if line.startswith(("#", ";")) or not line else line.split(": ", 1)[0]
        yield section, name, line


golden, decisions = (open(name, encoding="utf-8") for name in sys.argv[1:3])
decided = {(section, name): line for section, name, line in read(decisions) if name}
used = set()
for section, name, line in read(golden):
    for key in ((section, name), ("*", name)):
        if key in decided:
            used.add(key)
            line = decided[key]
            break
    print(line)
unused = set(decided) - used
if unused:
    sys.exit("decisions without a place in the recording: %s" % sorted(unused))
