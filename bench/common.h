/* What the load generators share: the clock, dialling, the body everybody checks, an answer's head.
 */
#ifndef KAREZ_BENCH_COMMON_H
#define KAREZ_BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define HEAD_CAP 16384 /* the longest head of a request or an answer that is read, bytes */

/* Say why and end with 1: a bench that goes on after a wrong answer measures nothing. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void common_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

/* Nanoseconds of the monotonic clock. */
static inline int64_t common_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* "127.0.0.1:8080" as a socket address; anything else ends the program. */
static inline struct sockaddr_in common_addr(const char *text)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t len = colon == NULL ? sizeof host : (size_t)(colon - text);

	if (len >= sizeof host)
		common_die("%s: not an address like 127.0.0.1:8080", text);
	memcpy(host, text, len);
	host[len] = '\0';
	sin.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		common_die("%s: not an address like 127.0.0.1:8080", text);
	return sin;
}

/* Connect, waiting until it is done; returns the descriptor. */
static inline int common_dial(const struct sockaddr_in *to)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (const struct sockaddr *)to, sizeof *to) == -1)
		common_die("connect to port %d: %s", ntohs(to->sin_port), strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

/* The byte that every bulk body has at this offset; no period that a relay could hide behind. */
static inline unsigned char common_byte(uint64_t off)
{
	uint64_t x = off * 0x9e3779b97f4a7c15ULL;

	x ^= x >> 32;
	return (unsigned char)(x * 0xd6e8feb86659fd93ULL >> 56);
}

/*
 * Is a piece of a body what it must be?
 *   data    [len] bytes that stand at `off` in the body.
 *   stride  look at the bytes whose offset it divides: 1 is every byte, a few hundred costs
 *           nothing and still sees anything lost, doubled or out of order.
 */
static inline bool common_check(const char *data, size_t len, uint64_t off, unsigned stride)
{
	uint64_t o = (off + stride - 1) / stride * stride;

	for (; o < off + len; o += stride) {
		if ((unsigned char)data[o - off] != common_byte(o))
			return false;
	}
	return true;
}

/* A head that was read: a request's has status 0. */
struct common_head {
	size_t len;	  /* bytes up to and with the empty line */
	int status;	  /* 200, ...; 0 for a request */
	int64_t body_len; /* Content-Length, -1 without one */
	bool closes;	  /* Connection: close */
};

/*
 * Read a head that may not be whole yet.
 *   text  [len] bytes, not NUL-terminated.
 * Returns true and *out when the empty line is there. Source: RFC 9112 2.1.
 */
static inline bool common_head(const char *text, size_t len, struct common_head *out)
{
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	const char *line = text, *next;

	*out = (struct common_head){.body_len = -1};
	if (end == NULL)
		return false;
	out->len = (size_t)(end - text) + 4;
	if (strncmp(text, "HTTP/1.", 7) == 0)
		out->status = atoi(text + 9);
	while ((next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2)) != NULL) {
		if (strncasecmp(line, "content-length:", 15) == 0)
			out->body_len = strtoll(line + 15, NULL, 10);
		if (strncasecmp(line, "connection: close", 17) == 0)
			out->closes = true;
		line = next + 2;
	}
	return true;
}

#endif
