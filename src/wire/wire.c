/* Helpers that every kind of wire and every user of one shares. */
#include "wire/wire.h"

#include "base/err.h"

size_t wire_iov_len(const struct iovec *iov, int n_iov)
{
	size_t len = 0;

	for (int i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	return len;
}

int wire_iov_skip(struct iovec *iov, int n_iov, size_t skip)
{
	int i = 0;

	for (; i < n_iov && skip >= iov[i].iov_len; i++)
		skip -= iov[i].iov_len;
	if (i < n_iov) {
		iov[i].iov_base = (char *)iov[i].iov_base + skip;
		iov[i].iov_len -= skip;
	}
	return i;
}

int wire_write_all(struct wire *w, struct str text)
{
	struct iovec iov = {.iov_base = (char *)(uintptr_t)text.p, .iov_len = text.len};
	size_t taken = 0;
	int e;

	if ((e = wire_write(w, &iov, 1, &taken)) != 0)
		return e;
	return taken == text.len ? 0 : ERR_AGAIN;
}

int wire_write_buf(struct wire *w, struct buf *b)
{
	struct str rest = buf_str(b);
	struct iovec iov = {.iov_base = (char *)(uintptr_t)rest.p, .iov_len = rest.len};
	size_t taken = 0;
	int e;

	if (rest.len == 0)
		return 0;
	if ((e = wire_write(w, &iov, 1, &taken)) == 0)
		buf_take(b, taken);
	return e;
}
