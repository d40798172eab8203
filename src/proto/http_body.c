/*
 * A body's end decides where the next request begins, so its framing is read as strictly as the
 * head: a chunked body is a small state machine that accepts one spelling and holds no bytes.
 */
#include "proto/http_body.h"

#include "base/err.h"
#include "proto/http_char.h"

enum http_body_state {
	BODY_SIZE,	   /* hexadecimal digits of a chunk size */
	BODY_EXT_SPACE,	   /* after the size: space before a ";" */
	BODY_EXT,	   /* in the extensions, up to CR */
	BODY_SIZE_LF,	   /* LF of the size line */
	BODY_DATA,	   /* `left` bytes of content */
	BODY_DATA_CR,	   /* CR behind the content */
	BODY_DATA_LF,	   /* and its LF */
	BODY_TRAILER,	   /* first byte of a trailer line, or CR of the empty line */
	BODY_TRAILER_NAME, /* up to ":" */
	BODY_TRAILER_VALUE,
	BODY_TRAILER_LF,
	BODY_END_LF, /* LF of the empty line that ends it all */
};

void http_body_init(struct http_body *b, enum http_framing framing, uint64_t content_length)
{
	*b = (struct http_body){.framing = framing, .state = BODY_SIZE};
	if (framing == HTTP_BODY_LENGTH)
		b->left = content_length;
	b->done = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && b->left == 0);
}

/* The value of a hexadecimal digit, or -1. */
static int http_body_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of "size [ext] CRLF". Source: RFC 9112 7.1, 7.1.1. */
static int http_body_size(struct http_body *b, char c)
{
	int digit = http_body_digit(c);

	if (b->state == BODY_SIZE && digit >= 0) {
		if (b->n_digits++ == 16)
			return ERR_PROTO;
		b->left = b->left << 4 | (unsigned)digit;
		return 0;
	}
	if (b->n_digits == 0)
		return ERR_PROTO;
	if (c == '\r' && b->state != BODY_EXT_SPACE) {
		b->state = BODY_SIZE_LF;
		return 0;
	}
	if (++b->ext_len > HTTP_CHUNK_EXT_MAX)
		return ERR_TOOBIG;
	if (b->state == BODY_EXT)
		return http_char_is(c, HTTP_CHAR_VALUE) ? 0 : ERR_PROTO;
	if (c != ';' && c != ' ' && c != '\t')
		return ERR_PROTO;
	b->state = c == ';' ? BODY_EXT : BODY_EXT_SPACE;
	return 0;
}

/* One byte of the trailer section: the rules of field lines. Source: RFC 9112 7.1.2, RFC 9110 5. */
static int http_body_trailer(struct http_body *b, char c)
{
	if (b->state == BODY_TRAILER && c == '\r') {
		b->state = BODY_END_LF;
		return 0;
	}
	if (++b->trailer_len > HTTP_TRAILERS_MAX)
		return ERR_TOOBIG;
	switch (b->state) {
	case BODY_TRAILER:
		b->state = BODY_TRAILER_NAME;
		return http_char_is(c, HTTP_CHAR_TOKEN) ? 0 : ERR_PROTO;
	case BODY_TRAILER_NAME:
		if (c == ':')
			b->state = BODY_TRAILER_VALUE;
		return c == ':' || http_char_is(c, HTTP_CHAR_TOKEN) ? 0 : ERR_PROTO;
	case BODY_TRAILER_VALUE:
		if (c == '\r')
			b->state = BODY_TRAILER_LF;
		return c == '\r' || http_char_is(c, HTTP_CHAR_VALUE) ? 0 : ERR_PROTO;
	default: b->state = BODY_TRAILER; return c == '\n' ? 0 : ERR_PROTO;
	}
}

/* One byte of a chunked body that is not content. */
static int http_body_step(struct http_body *b, char c)
{
	switch (b->state) {
	case BODY_SIZE:
	case BODY_EXT_SPACE:
	case BODY_EXT: return http_body_size(b, c);
	case BODY_SIZE_LF:
		b->state = b->left == 0 ? BODY_TRAILER : BODY_DATA;
		b->n_digits = 0;
		b->ext_len = 0;
		return c == '\n' ? 0 : ERR_PROTO;
	case BODY_DATA_CR: b->state = BODY_DATA_LF; return c == '\r' ? 0 : ERR_PROTO;
	case BODY_DATA_LF: b->state = BODY_SIZE; return c == '\n' ? 0 : ERR_PROTO;
	case BODY_END_LF: b->done = true; return c == '\n' ? 0 : ERR_PROTO;
	default: return http_body_trailer(b, c);
	}
}

/* Split n bytes off the front. */
static struct str http_body_cut(struct str *in, size_t n)
{
	struct str front = {in->p, n};

	in->p += n;
	in->len -= n;
	return front;
}

static int http_body_chunked(struct http_body *b, struct str *in, struct str *data)
{
	int e;

	while (in->len > 0 && !b->done) {
		if (b->state == BODY_DATA) {
			*data = http_body_cut(in, MIN(in->len, b->left));
			b->left -= data->len;
			if (b->left == 0)
				b->state = BODY_DATA_CR;
			return 0;
		}
		if ((e = http_body_step(b, *in->p)) != 0)
			return e;
		http_body_cut(in, 1);
	}
	return 0;
}

int http_body_next(struct http_body *b, struct str *in, struct str *data)
{
	*data = (struct str){0};
	if (in->len == 0 || b->done)
		return 0;
	switch (b->framing) {
	case HTTP_BODY_CHUNKED: return http_body_chunked(b, in, data);
	case HTTP_BODY_LENGTH:
		*data = http_body_cut(in, MIN(in->len, b->left));
		b->left -= data->len;
		b->done = b->left == 0;
		return 0;
	default: *data = http_body_cut(in, in->len); return 0;
	}
}

int http_body_eof(struct http_body *b)
{
	if (b->framing == HTTP_BODY_CLOSE || b->framing == HTTP_BODY_TUNNEL)
		b->done = true;
	return b->done ? 0 : ERR_PROTO;
}

size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 1;

	CHECK(len > 0);
	while (n < 16 && len >> 4 * n != 0)
		n++;
	for (size_t i = 0; i < n; i++)
		out[i] = digits[len >> 4 * (n - 1 - i) & 15];
	out[n] = '\r';
	out[n + 1] = '\n';
	return n + 2;
}
