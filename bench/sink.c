/*
 * The target of uploads: an HTTP/1.1 server that reads a body, checks it and answers with its
 *length. It exists because nginx can only swallow a body by storing it, passing it on or answering
 *before it is read; each of these would measure nginx or end the upload early.
 *
 *	sink 127.0.0.1:PORT
 *
 * One thread per connection. Any method; a body needs a Content-Length (else 411) and the pattern
 *of common.h (else the answer is 422, and the bench stops).
 */
#include "common.h"

#include <pthread.h>

#define READ_LEN (256 * 1024)

struct visit {
	int fd;	     /* owned */
	size_t have; /* bytes in mem that are not used up */
	char *mem;   /* owned, READ_LEN */
};

/* The number in the path of a request that has a whole head in mem. */
static unsigned visit_stride(const struct visit *v)
{
	const char *slash = memchr(v->mem, '/', v->have);
	int n = slash == NULL ? 0 : atoi(slash + 1);

	return n > 0 ? (unsigned)n : 509;
}

/* Read one request and answer it; false when the connection is over. */
static bool visit_serve(struct visit *v)
{
	struct common_head head;
	char text[256], number[32];
	const char *status = "200 OK";
	uint64_t off = 0, body_len;
	unsigned stride;
	size_t n;
	ssize_t got;
	int len;

	while (!common_head(v->mem, v->have, &head)) {
		if (v->have >= HEAD_CAP)
			return false;
		if ((got = recv(v->fd, v->mem + v->have, HEAD_CAP - v->have, 0)) <= 0)
			return false;
		v->have += (size_t)got;
	}
	if (head.body_len < 0 && strncmp(v->mem, "GET ", 4) != 0) {
		status = "411 Length Required";
		head.closes = true; /* whatever follows has no known end */
	}
	stride = visit_stride(v);
	v->have -= head.len;
	memmove(v->mem, v->mem + head.len, v->have);
	body_len = head.body_len > 0 ? (uint64_t)head.body_len : 0;
	while (off < body_len) {
		n = v->have < body_len - off ? v->have : (size_t)(body_len - off);
		if (!common_check(v->mem, n, off, stride))
			status = "422 Unprocessable Content";
		off += n;
		v->have -= n;
		memmove(v->mem, v->mem + n, v->have);
		if (off == body_len)
			break;
		if ((got = recv(v->fd, v->mem, READ_LEN, 0)) <= 0)
			return false;
		v->have = (size_t)got;
	}
	snprintf(number, sizeof number, "%llu\n", (unsigned long long)off);
	len = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
		       strlen(number), number);
	return send(v->fd, text, (size_t)len, MSG_NOSIGNAL) == len && !head.closes;
}

static void *visit_run(void *arg)
{
	struct visit *v = arg;

	while (visit_serve(v))
		;
	close(v->fd);
	free(v->mem);
	free(v);
	return NULL;
}

static void sink_accept(int fd)
{
	struct visit *v = calloc(1, sizeof *v);
	pthread_t thread;
	int one = 1;

	if (v == NULL || (v->mem = malloc(READ_LEN)) == NULL)
		common_die("sink: no memory");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	v->fd = fd;
	if (pthread_create(&thread, NULL, visit_run, v) != 0)
		common_die("sink: no thread");
	pthread_detach(thread);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at;
	int fd, one = 1;

	if (argc != 2)
		common_die("sink 127.0.0.1:PORT");
	at = common_addr(argv[1]);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) == -1 || listen(fd, 1024) == -1)
		common_die("sink: listen on %s: %s", argv[1], strerror(errno));
	for (;;) {
		int visitor = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (visitor != -1)
			sink_accept(visitor);
		else if (errno != EINTR && errno != ECONNABORTED)
			common_die("sink: accept: %s", strerror(errno));
	}
}
