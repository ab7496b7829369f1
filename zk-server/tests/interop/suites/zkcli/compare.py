"""How many commands of the golden file have another answer, or none, in the other file; at least one."""

import sys


def sections(name):
    found = []
    for line in open(name):
        if line.startswith(("> ", "# ")):
            found.append([])
        found[-1].append(line)
    return found


wanted, got = sections(sys.argv[1]), sections(sys.argv[2])
wrong = sum(1 for a, b in zip(wanted, got) if a != b) + max(0, len(wanted) - len(got))
print(max(1, min(wrong, len(wanted) - 1)))
