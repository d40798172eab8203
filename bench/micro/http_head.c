/*
 * What a request head costs: parsing a browser's head of some 400 bytes and writing it anew, on one
 * core, in nanoseconds. Build: cc -O2 -Isrc -D_GNU_SOURCE bench/micro/http_head.c
 * src/proto/{http_head,http_field,http_char,http_write,hostname,cidr}.c
 * src/base/{buf,str,num,util}.c
 */
#include "proto/http_head.h"
#include "proto/http_write.h"

#include <stdio.h>
#include <time.h>

#define ROUNDS	  9
#define PER_ROUND 200000

static const char browser[] =
	"GET /search?q=underground+channels&page=2 HTTP/1.1\r\n"
	"Host: hello.tim.example.org:8080\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Connection: keep-alive\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef\r\n"
	"Cache-Control: max-age=0\r\n"
	"\r\n";

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Parse and write once; returns the length of what was written. */
static size_t bench_both(void)
{
	struct http_request r;
	struct http_writer w;
	size_t scanned = 0, len;
	char out[2048];

	CHECK(http_request_parse(STR(browser), &scanned, &r) == 0);
	http_write_begin(&w, out, sizeof out);
	http_write_request(&w, r.method_name, r.path);
	http_write_field(&w, STR("Host"), r.host);
	http_write_fields(&w, &r.head, HTTP_F_HOST | HTTP_F_FORWARDING | HTTP_F_VIA);
	http_write_field(&w, STR("X-Forwarded-For"), STR("192.0.2.43"));
	http_write_field(&w, STR("X-Forwarded-Proto"), STR("https"));
	http_write_framing(&w, &r.head);
	CHECK(http_write_end(&w, &len) == 0);
	return len;
}

static size_t bench_parse_only(void)
{
	struct http_request r;
	size_t scanned = 0;

	CHECK(http_request_parse(STR(browser), &scanned, &r) == 0);
	return r.head.n_fields;
}

/* The best round, in ns per call. */
static double bench_run(size_t (*call)(void))
{
	volatile size_t sink = 0;
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns(), each;

		for (int i = 0; i < PER_ROUND; i++)
			sink = sink + call();
		each = (now_ns() - start) / PER_ROUND;
		best = MIN(best, each);
	}
	return best;
}

int main(void)
{
	printf("head of %zu bytes, %zu fields\n", sizeof browser - 1, bench_parse_only());
	printf("parse          %6.0f ns\n", bench_run(bench_parse_only));
	printf("parse + write  %6.0f ns\n", bench_run(bench_both));
	return 0;
}
