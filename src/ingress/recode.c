/* Decode and encode, chunk by chunk, without copying the content. */
#include "ingress/recode.h"

#include "base/err.h"

/* Entries that one piece of content needs at most: size line, content, CRLF. */
#define IOV_PER_PIECE 3

void recode_init(struct recode *r, enum http_framing framing, bool chunked_out)
{
	http_body_init(&r->in, framing, 0);
	r->chunked_out = chunked_out;
}

static void recode_add(struct pump_out *out, struct str s)
{
	out->iov[out->n_iov++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)s.p, .iov_len = s.len};
}

static void recode_add_piece(struct recode *r, struct pump_out *out, struct str data)
{
	char *line = out->text[out->n_iov];

	if (r->chunked_out)
		recode_add(out, (struct str){line, http_chunk_head(line, data.len)});
	recode_add(out, data);
	if (r->chunked_out)
		recode_add(out, HTTP_CRLF);
}

int recode_filter(void *arg, struct str *in, struct pump_out *out, bool *end)
{
	struct recode *r = arg;
	int e = 0;

	if (in->p == NULL && (e = http_body_eof(&r->in)) != 0)
		return e;
	while (in->len > 0 && !r->in.done && out->n_iov + IOV_PER_PIECE < PUMP_IOV) {
		struct str data;

		if ((e = http_body_next(&r->in, in, &data)) != 0)
			return e;
		if (data.len > 0)
			recode_add_piece(r, out, data);
	}
	if (r->in.done) {
		if (r->chunked_out)
			recode_add(out, HTTP_LAST_CHUNK);
		*end = true;
	}
	return 0;
}
