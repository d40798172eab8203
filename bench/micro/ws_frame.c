/*
 * What WebSocket framing costs per byte: CPU seconds per GiB of packing and unpacking messages of
 * 256 KiB in memory, by wslay's frame API (libwslay-dev, which karez does not need), and of our own
 * masking. Build: cc -O2 -D_GNU_SOURCE -Isrc bench/micro/ws_frame.c src/proto/ws_frame.c
 * src/base/[a-z]*.c -lwslay
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wslay/wslay.h>

#include "proto/ws_frame.h"

#define MESSAGE (256 * 1024)
#define ROUNDS	5
#define GIB	(1024 * 1024 * 1024)

static uint8_t out[MESSAGE + 64], in[MESSAGE + 64], data[MESSAGE];
static size_t out_len, in_at, in_len;

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static ssize_t on_send(const uint8_t *p, size_t len, int flags, void *arg)
{
	memcpy(out + out_len, p, len);
	out_len += len;
	return (ssize_t)len;
}

static ssize_t on_recv(uint8_t *p, size_t len, int flags, void *arg)
{
	size_t n = in_len - in_at < len ? in_len - in_at : len;
	if (n == 0)
		return -1;
	memcpy(p, in + in_at, n);
	in_at += n;
	return (ssize_t)n;
}

static int on_key(uint8_t *buf, size_t len, void *arg)
{
	memcpy(buf, "\x37\xfa\x21\x3d", 4);
	return 0;
}

static const struct wslay_frame_callbacks callbacks = {on_send, on_recv, on_key};

static double one(uint8_t mask, double *recv_s)
{
	wslay_frame_context_ptr tx, rx;
	double a, b, send_s = 0;

	*recv_s = 0;
	wslay_frame_context_init(&tx, &callbacks, NULL);
	wslay_frame_context_init(&rx, &callbacks, NULL);
	for (size_t i = 0; i < GIB / MESSAGE; i++) {
		struct wslay_frame_iocb c = {.fin = 1,
					     .opcode = 2,
					     .mask = mask,
					     .payload_length = MESSAGE};
		size_t got = 0;
		out_len = 0;
		a = cpu_s();
		for (size_t at = 0; at < MESSAGE;) {
			c.data = data + at;
			c.data_length = MESSAGE - at;
			ssize_t r = wslay_frame_send(tx, &c);

			if (r < 0)
				abort();
			at += (size_t)r;
		}
		b = cpu_s();
		send_s += b - a;
		memcpy(in, out, out_len);
		in_len = out_len;
		in_at = 0;
		a = cpu_s();
		while (got < MESSAGE) {
			struct wslay_frame_iocb d = {0};
			ssize_t r = wslay_frame_recv(rx, &d);

			if (r < 0)
				abort();
			got += d.data_length;
		}
		*recv_s += cpu_s() - a;
	}
	wslay_frame_context_free(tx);
	wslay_frame_context_free(rx);
	return send_s;
}

/* Our own: to another place, as a client sends, or in place, as a server receives. */
static double own(uint8_t *to, const uint8_t *from)
{
	static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
	double begin = cpu_s();

	for (size_t i = 0; i < GIB / MESSAGE; i++)
		ws_mask(to, from, MESSAGE, key, i);
	return cpu_s() - begin;
}

int main(void)
{
	for (int r = 0; r < ROUNDS; r++) {
		double plain_in, plain_out = one(0, &plain_in), in_s, out_s = one(1, &in_s);
		double put = own(out, data), taken = own(in, in);

		printf("wslay: send %.3f receive %.3f, masked: send %.3f receive %.3f; ours, "
		       "masked: "
		       "send %.3f receive %.3f s/GiB\n",
		       plain_out, plain_in, out_s, in_s, put, taken);
	}
	return 0;
}
