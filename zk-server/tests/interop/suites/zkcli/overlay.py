"""Prints the golden file with the answers of another in the places of its own: those that an ensemble gives otherwise."""

import sys


def sections(name):
    found = []
    for line in open(name):
        if line.startswith(("> ", "# ")):
            found.append([])
        found[-1].append(line)
    return found


other = {section[0]: section for section in sections(sys.argv[2])}
for section in sections(sys.argv[1]):
    sys.stdout.writelines(other.pop(section[0], section))
if other:
    sys.exit("answers without a place: %s" % sorted(other))
