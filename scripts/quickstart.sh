#!/bin/bash
# See karez work, on this machine alone: a server with its embedded store, an agent, and a little
# web server behind it. Prints the public address, fetches it once through the tunnel, and goes on
# until Ctrl-C; without a terminal it ends after the fetch.
#
#   KAREZ_BUILD      where karezd and karez are; build/ by default, made when it is missing
#   KAREZ_SKIP_DEPS  1: do not look for missing packages
set -euo pipefail

cd "$(dirname "$0")/.."
build=${KAREZ_BUILD:-build}
dir=
pids=()

say() {
	printf '\n== %s\n' "$*"
}

fail() {
	printf 'quickstart: %s\n' "$*" >&2
	for log in "$dir"/*.log; do
		[ -s "$log" ] && { printf -- '---- %s\n' "${log##*/}"; tail -20 "$log"; } >&2
	done
	exit 1
}

# Whoever was started last ends first: agent, server, web server.
clean_up() {
	local code=$? i
	trap - EXIT INT TERM
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || true
		wait "${pids[i]}" 2>/dev/null || true
	done
	[ -z "$dir" ] || rm -rf "$dir"
	exit "$code"
}

# Does anything listen on a port of loopback?
is_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The first port from $1 on where nobody listens.
free_port() {
	local port=$1
	while is_taken "$port"; do
		port=$((port + 1))
		[ "$port" -lt 65536 ] || return 1
	done
	echo "$port"
}

# Wait until a line of file $1 matches $2, as long as process $3 lives; ten seconds at most.
wait_line() {
	local i
	for ((i = 0; i < 200; i++)); do
		grep -qE "$2" "$1" 2>/dev/null && return 0
		kill -0 "$3" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

start_web_server() {
	mkdir "$dir/site"
	cat >"$dir/site/index.html" <<-PAGE
		<!doctype html>
		<title>Hello</title>
		<h1>Hello from $(hostname)</h1>
		<p>This page was made on $(date) and came to you through karez.</p>
	PAGE
	web_port=$(free_port 3000) || fail "no free port for the web server"
	python3 -m http.server --bind 127.0.0.1 --directory "$dir/site" "$web_port" \
		>"$dir/web.log" 2>&1 &
	pids+=($!)
	local i
	for ((i = 0; i < 100; i++)); do
		is_taken "$web_port" && return
		kill -0 "${pids[-1]}" 2>/dev/null || break
		sleep 0.05
	done
	fail "the web server does not start"
}

start_server() {
	port=$(free_port 8080) || fail "no free port for karezd"
	[ "$port" = 8080 ] || echo "Port 8080 is taken, so karezd listens on $port."
	"$build/karezd" --domain localhost --listen "127.0.0.1:$port" --allow-registration \
		--state-dir "$dir/state" --drain-timeout 1s >"$dir/karezd.log" 2>&1 &
	pids+=($!)
	wait_line "$dir/karezd.log" 'event=listen' "${pids[-1]}" || fail "karezd does not start"
}

start_agent() {
	KAREZ_CONFIG_DIR=$dir/agent "$build/karez" "$web_port" -v \
		--server "http://127.0.0.1:$port" >"$dir/karez.log" 2>"$dir/karez-problems.log" &
	pids+=($!)
	wait_line "$dir/karez.log" 'publicly accessible' "${pids[-1]}" || fail "karez does not start"
	url=$(sed -n '1s/.*publicly accessible from \([^ ]*\) .*/\1/p' "$dir/karez.log")
}

prepare() {
	if [ ! -x "$build/karezd" ] || [ ! -x "$build/karez" ]; then
		[ "${KAREZ_SKIP_DEPS:-}" = 1 ] || scripts/deps.sh build quickstart
		make all
	fi
	dir=$(mktemp -d "${TMPDIR:-/tmp}/karez-quickstart.XXXXXX")
	chmod 700 "$dir"
}

main() {
	trap clean_up EXIT
	trap 'exit 0' INT TERM
	prepare

	say "A web server, as it might run on your laptop"
	start_web_server
	echo "python3 -m http.server $web_port"

	say "The karez server, as it would run on a machine with a public address"
	start_server
	echo "karezd --domain localhost --listen 127.0.0.1:$port --allow-registration"

	say "The agent, next to the web server"
	start_agent
	echo "karez $web_port --server http://127.0.0.1:$port"
	head -n 1 "$dir/karez.log"

	say "Fetched through the tunnel:  curl $url"
	curl -sS --fail --noproxy '*' --max-time 10 "$url" || fail "cannot fetch $url"

	if [ -t 0 ] && [ -t 1 ]; then
		say "It goes on until Ctrl-C. Open $url in a browser; requests are shown here."
		tail -n +2 -f "$dir/karez.log" &
		pids+=($!)
		wait -n "${pids[@]}" || fail "one of them has ended"
	fi
}

main "$@"
