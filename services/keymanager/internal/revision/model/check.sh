#!/bin/sh
# Searches every state of the revocation protocol (revocation.pml): the protocol keeps its promise, and each broken rule is
# caught. With the name of a broken rule, it prints the shortest story of what goes wrong instead.
#
#   ./check.sh                  check everything, well under a minute on two cores, in 1 GiB
#   ./check.sh NO_FILL_CHECK    tell that counterexample
# shellcheck disable=SC2317 # holds and refuted are called through each
set -u

# The protocol, in sizes that can be searched: name, then definitions. All must be free of errors.
protocol='
everything-at-once
two-revisions   -DREVISIONS=2 -DTTL=2 -DAGES=0
two-renewals    -DRENEWALS=2 -DTTL=2 -DAGES=0 -DOTHERS=0
two-verifiers   -DVERIFIERS=2 -DTTL=2 -DREQUESTS=0 -DOTHERS=0
'

# Each broken rule: its name, the assertion that must fail, and definitions where the first size above does not show it.
mutations='
NO_BARRIER            promise
TIMER_FLAG            promise
JOIN_ON_WIRE          promise
NO_FILL_CHECK         promise
NO_CATCH_UP           promise
TRUST_YOUNG_TABLE     promise
NEVER_REFUSE_LAGGARD  bound
CATCH_UP_ONCE         promise
CATCH_UP_READ_EARLY   promise
STALE_LOOK            promise
EXPIRY_BACKWARDS      promise -DRENEWALS=2 -DTTL=2 -DAGES=0 -DOTHERS=0
NO_MARGIN             promise
TRUST_FROM_REPLY      promise
ACK_ON_RECEIPT        promise
'

for tool in spin gcc; do
	command -v "$tool" >/dev/null || {
		echo "check.sh: $tool is missing; on Debian and Ubuntu: apt-get install spin gcc libc6-dev" >&2
		exit 2
	}
done

model=$(cd "$(dirname "$0")" && pwd)/revocation.pml
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
lane=
trap '[ -z "$lane" ] || kill "$lane"; exit 130' INT TERM

# search NAME CC-FLAGS DEFINITIONS... searches in a directory of its own and leaves what pan says in out.
search() {
	dir=$work/$1 cflags=$2
	shift 2
	mkdir "$dir" && cd "$dir" && cp "$model" . || return
	spin -a "$@" revocation.pml >spin.out 2>&1 || { cat spin.out; return 1; }
	# Whole states, no partial order reduction: every step reads or writes what others share. MEMLIM is in MiB.
	# shellcheck disable=SC2086 # flags are words
	gcc $cflags -w -DSAFETY -DNOREDUCE -DMEMLIM=1900 -o pan pan.c || return
	./pan -n -w24 -m200000 >out 2>&1
}

# figure NAME prints a number that pan reports.
figure() {
	case $1 in
	states) awk '/states, stored/ {print $1; exit}' out ;;
	depth) sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' out ;;
	esac
}

# story DEFINITIONS... replays the counterexample, one line a step.
story() { spin -t -T "$@" revocation.pml | sed -n 's/^ *\(\(clock\|authority\|verifier [0-9]\|network\): .*\)/\1/p'; }

# holds NAME DEFINITIONS... wants a finished search without errors.
holds() {
	name=$1
	shift
	if search "$name" -O2 "$@" && grep -q 'errors: 0' out && ! grep -Eqi 'not completed|too small|MEMLIM|truncated' out; then
		printf 'PASS  %-21s holds: %s states, depth %s\n' "$name" "$(figure states)" "$(figure depth)"
	else
		printf 'FAIL  %-21s must hold\n' "$name"
		[ ! -f out ] || cat out
		return 1
	fi
}

# refuted NAME ASSERTION DEFINITIONS... wants that assertion violated. Breadth first, so that the story is a shortest one.
refuted() {
	name=$1 assertion=$2
	shift 2
	case $assertion in
	promise) pattern='assertion violated.*(answered|late)' ;;
	bound) pattern='assertion violated.*age\[' ;;
	esac
	if search "$name" '-O1 -DBFS' "-D$name" "$@" && grep -Eq "$pattern" out; then
		steps=$(story "-D$name" "$@" | wc -l)
		printf 'PASS  %-21s breaks the %s: %d steps, %s states, depth %s\n' \
			"$name" "$assertion" "$steps" "$(figure states)" "$(figure depth)"
	else
		printf 'FAIL  %-21s must break the %s\n' "$name" "$assertion"
		[ ! -f out ] || cat out
		return 1
	fi
}

# each COMMAND reads lines of arguments for COMMAND, runs them all, and fails when one has failed.
each() {
	failed=0
	while read -r line; do
		# shellcheck disable=SC2086 # the line is words
		[ -z "$line" ] || ("$1" $line) || failed=1
	done
	return "$failed"
}

if [ $# -gt 0 ]; then
	line=$(echo "$mutations" | grep "^$1 ") || { echo "check.sh: no such mutation: $1" >&2; exit 2; }
	# shellcheck disable=SC2086 # the line is words
	set -- $line
	name=$1
	shift 2
	search "$name" '-O1 -DBFS' "-D$name" "$@" && story "-D$name" "$@"
	exit
fi

# Two at a time.
echo "$mutations" | each refuted &
lane=$!
echo "$protocol" | each holds
status=$?
wait "$lane" || status=1
exit "$status"
