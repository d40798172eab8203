/*
 * Bulk streams, down or up, with their bodies checked. It exists because curl cannot tell what a
 *relay did to a body while costing next to nothing, and eight of them are not eight streams of one
 *visitor.
 *
 *	bulk -a 127.0.0.1:PORT -H host -p /path -m down|up|make -n BYTES [-s STREAMS] [-t SECONDS]
 *	     [-f FILE] [-k STRIDE]
 *
 * down: GET the path on each stream; the answer must be 200, have BYTES bytes and the pattern of
 *common.h. up:   PUT the first BYTES bytes of FILE on each stream; the answer's body must be the
 *number of bytes. make: write the pattern to FILE. With -t every stream repeats its request and all
 *are cut off after SECONDS. One line of JSON says what came: bytes, seconds, and the rate in bytes
 *per second over all and over the second half (settled).
 */
#include "common.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/sendfile.h>

#define READ_LEN    (256 * 1024)
#define STREAMS_CAP 64
#define SEND_LEN    (1 << 20)

struct bulk {
	struct sockaddr_in addr;
	const char *host, *path, *mode, *file;
	uint64_t body_len;
	unsigned stride;
	double seconds; /* 0: until every stream has had one body */
	int n_streams;
	atomic_bool stop;
};

struct stream {
	struct bulk *bulk; /* borrowed: main outlives its threads */
	pthread_t thread;
	atomic_int fd;
	atomic_ullong n_bytes;
	char *mem; /* owned, READ_LEN */
};

/* The peer went away: right after the time is up, wrong at any other moment. */
static void stream_ended(struct stream *s, const char *what)
{
	if (!atomic_load(&s->bulk->stop))
		common_die("bulk %s %s: %s after %llu bytes", s->bulk->mode, s->bulk->path, what,
			   (unsigned long long)atomic_load(&s->n_bytes));
	pthread_exit(NULL);
}

/* Read an answer's head into s->mem; *have is what of the body came with it, moved to the front. */
static struct common_head stream_head(struct stream *s, int fd, size_t *have)
{
	struct common_head head;
	size_t len = 0;
	ssize_t n;

	do {
		n = recv(fd, s->mem + len, HEAD_CAP - len, 0);
		if (n <= 0)
			stream_ended(s, n == 0 ? "closed without an answer" : strerror(errno));
		len += (size_t)n;
	} while (!common_head(s->mem, len, &head) && len < HEAD_CAP);
	if (head.status != 200)
		common_die("bulk %s %s: %.*s", s->bulk->mode, s->bulk->path, (int)len, s->mem);
	*have = len - head.len;
	memmove(s->mem, s->mem + head.len, *have);
	return head;
}

static void stream_send(struct stream *s, int fd, const char *text, size_t len)
{
	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		stream_ended(s, strerror(errno));
}

static void stream_down(struct stream *s, int fd)
{
	struct bulk *b = s->bulk;
	struct common_head head;
	char text[512];
	uint64_t off = 0;
	size_t have;
	ssize_t n;
	int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", b->path,
			   b->host);

	stream_send(s, fd, text, (size_t)len);
	head = stream_head(s, fd, &have);
	if (head.body_len != (int64_t)b->body_len)
		common_die("bulk %s: length %lld instead of %llu", b->path,
			   (long long)head.body_len, (unsigned long long)b->body_len);
	for (n = (ssize_t)have;;) {
		if (off + (uint64_t)n > b->body_len ||
		    !common_check(s->mem, (size_t)n, off, b->stride))
			common_die("bulk %s: a wrong body near byte %llu", b->path,
				   (unsigned long long)off);
		off += (uint64_t)n;
		atomic_fetch_add(&s->n_bytes, (unsigned long long)n);
		if (off == b->body_len)
			return;
		if ((n = recv(fd, s->mem, READ_LEN, 0)) <= 0)
			stream_ended(s, n == 0 ? "closed inside the body" : strerror(errno));
	}
}

static void stream_up(struct stream *s, int fd)
{
	struct bulk *b = s->bulk;
	struct common_head head;
	char text[512];
	off_t off = 0;
	size_t have;
	ssize_t n;
	int file = open(b->file, O_RDONLY | O_CLOEXEC);
	int len = snprintf(text, sizeof text,
			   "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %llu\r\n\r\n", b->path,
			   b->host, (unsigned long long)b->body_len);

	if (file == -1)
		common_die("%s: %s", b->file, strerror(errno));
	stream_send(s, fd, text, (size_t)len);
	while ((uint64_t)off < b->body_len) {
		uint64_t left = b->body_len - (uint64_t)off;

		n = sendfile(fd, file, &off, left < SEND_LEN ? left : SEND_LEN);
		if (n <= 0)
			stream_ended(s, n == 0 ? "the file is too short" : strerror(errno));
		atomic_fetch_add(&s->n_bytes, (unsigned long long)n);
	}
	close(file);
	head = stream_head(s, fd, &have);
	while (have < (size_t)head.body_len) {
		n = recv(fd, s->mem + have, HEAD_CAP - have, 0);
		if (n <= 0)
			stream_ended(s, "closed inside the answer");
		have += (size_t)n;
	}
	s->mem[have] = '\0';
	if (strtoull(s->mem, NULL, 10) != b->body_len)
		common_die("bulk up %s: the sink says %s", b->path, s->mem);
}

static void *stream_run(void *arg)
{
	struct stream *s = arg;
	int fd = common_dial(&s->bulk->addr);

	atomic_store(&s->fd, fd);
	do {
		if (strcmp(s->bulk->mode, "up") == 0)
			stream_up(s, fd);
		else
			stream_down(s, fd);
	} while (s->bulk->seconds > 0 && !atomic_load(&s->bulk->stop));
	return NULL;
}

static unsigned long long bulk_bytes(struct stream *streams, int n)
{
	unsigned long long sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += atomic_load(&streams[i].n_bytes);
	return sum;
}

static void bulk_sleep(double seconds)
{
	struct timespec ts = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

static void bulk_run(struct bulk *b)
{
	struct stream streams[STREAMS_CAP] = {0};
	unsigned long long half = 0, all = 0;
	int64_t begin = common_now(), middle = begin, end;
	int i;

	for (i = 0; i < b->n_streams; i++) {
		streams[i] = (struct stream){.bulk = b, .fd = -1, .mem = malloc(READ_LEN + 1)};
		if (streams[i].mem == NULL ||
		    pthread_create(&streams[i].thread, NULL, stream_run, &streams[i]) != 0)
			common_die("bulk: no memory or no thread");
	}
	if (b->seconds > 0) {
		bulk_sleep(b->seconds / 2);
		middle = common_now();
		half = bulk_bytes(streams, b->n_streams);
		bulk_sleep(b->seconds / 2);
		all = bulk_bytes(streams, b->n_streams);
		atomic_store(&b->stop, true);
		for (i = 0; i < b->n_streams; i++)
			shutdown(atomic_load(&streams[i].fd), SHUT_RDWR);
	}
	end = common_now();
	for (i = 0; i < b->n_streams; i++) {
		pthread_join(streams[i].thread, NULL);
		close(atomic_load(&streams[i].fd));
		free(streams[i].mem);
	}
	if (b->seconds == 0) {
		end = common_now();
		all = bulk_bytes(streams, b->n_streams);
	}
	printf("{\"bytes\": %llu, \"seconds\": %.6f, \"rate\": %.0f, \"settled\": %.0f}\n", all,
	       (double)(end - begin) / 1e9, (double)all * 1e9 / (double)(end - begin),
	       (double)(all - half) * 1e9 / (double)(end - middle));
}

static void bulk_make(const char *path, uint64_t len)
{
	static const size_t piece = 1 << 20;
	char *mem = malloc(piece);
	FILE *file = fopen(path, "w");
	uint64_t off, n;

	if (mem == NULL || file == NULL)
		common_die("%s: %s", path, strerror(errno));
	for (off = 0; off < len; off += n) {
		for (n = 0; n < piece && off + n < len; n++)
			mem[n] = (char)common_byte(off + n);
		if (fwrite(mem, 1, n, file) != n)
			common_die("%s: %s", path, strerror(errno));
	}
	if (fclose(file) != 0)
		common_die("%s: %s", path, strerror(errno));
	free(mem);
}

int main(int argc, char **argv)
{
	struct bulk b = {.host = "", .path = "/", .mode = "down", .stride = 509, .n_streams = 1};
	const char *addr = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "a:H:p:m:n:s:t:f:k:")) != -1) {
		switch (opt) {
		case 'a': addr = optarg; break;
		case 'H': b.host = optarg; break;
		case 'p': b.path = optarg; break;
		case 'm': b.mode = optarg; break;
		case 'n': b.body_len = strtoull(optarg, NULL, 10); break;
		case 's': b.n_streams = atoi(optarg); break;
		case 't': b.seconds = atof(optarg); break;
		case 'f': b.file = optarg; break;
		case 'k': b.stride = (unsigned)atoi(optarg); break;
		default: return 2;
		}
	}
	if (strcmp(b.mode, "make") == 0 && b.file != NULL) {
		bulk_make(b.file, b.body_len);
		return 0;
	}
	if (addr == NULL || b.body_len == 0 || b.stride == 0 || b.n_streams < 1 ||
	    b.n_streams > STREAMS_CAP || (strcmp(b.mode, "up") == 0 && b.file == NULL))
		common_die("bulk: see the head of bulk.c");
	signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
	b.addr = common_addr(addr);
	bulk_run(&b);
	return 0;
}
