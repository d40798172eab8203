/*
 * A long path on one machine: a TCP relay that holds every byte back by a propagation delay and, if
 * asked, passes them through one bottleneck. It exists because loopback has neither, and because
 *tc/netem needs rights and kernel modules that a bench cannot count on.
 *
 *	delay -l 127.0.0.1:PORT -t 127.0.0.1:PORT -d ONE_WAY_MS [-r MBIT_PER_S] [-q QUEUE_MS]
 *
 * What is modelled, for each direction by itself:
 *
 *	sender -> [bottleneck: queue, rate] -> [propagation: delay] -> receiver
 *
 * - The bottleneck is one FIFO for all connections of the direction. A byte that comes in at t
 *leaves it at max(t, when the byte before it left) + 1/rate. It holds at most QUEUE_MS of data (10
 *by default, what a managed queue such as CoDel lets stand); when it is full nothing is read from
 *any sender, as congestion control would hold them back. When it has room again the connections
 *take turns, 16 KiB each, so a small request waits for the queue but never behind all of another
 *connection's data. Without -r there is no queue.
 * - Propagation keeps any number of bytes in flight, as a wire does (HELD_CAP only guards this
 *machine). So what limits a single stream is the window of the protocol above, which is the thing
 *to measure.
 * - A connection passes nothing until the handshake would have been over: one round trip for the
 *side that connected, one and a half for the other, which hears of it later. A FIN travels like a
 *byte.
 * - A receiver that does not take what has arrived stops the sender after STALL_NS, like a closed
 *window.
 *
 * What must not be modelled by accident: this relay ends two TCP connections, and bytes in its
 *kernel buffers would be a second queue that hides from the bench whether a sender keeps urgent
 *data from waiting behind bulk it has already handed over. So with -r the receive buffers are about
 *one ms of the rate, and all that a sender has pushed beyond the bottleneck's queue stands in the
 *sender's own socket buffer, exactly where TCP_NOTSENT_LOWAT, or the lack of it, shows. Segments
 *are those of Ethernet (MSS 1448), because with loopback's 64 KiB segments a small receive buffer
 *means silly windows.
 *
 * What is not modelled: loss, and the kernel's congestion window; the sender's kernel sees a round
 *trip of nothing. A design that reads its round trip from TCP_INFO instead of asking its peer is
 *misled here.
 */
#include "common.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define LINKS_CAP  4096
#define HELD_CAP   (256LL << 20)   /* bytes in flight of one direction */
#define STALL_NS   (5 * 1000000LL) /* how late a receiver may be before its sender is stopped */
#define PIECE_FULL (64 * 1024)	   /* read at once without a rate */
#define PIECE_RATE (16 * 1024)	   /* and with one */
#define NEVER	   INT64_MAX

/* What was read at once; len 0 stands for the end of the stream. */
struct chunk {
	struct chunk *next;
	int64_t due; /* when it arrives, ns */
	size_t len, off;
	char data[];
};

/* One direction of the path, shared by all connections. */
struct lane {
	double ns_per_byte; /* 0: no bottleneck */
	int64_t free_at;    /* when the last byte let in leaves the bottleneck */
	int64_t queue_ns;
	int64_t held; /* bytes in flight */
};

struct end {
	int fd; /* owned */
	bool readable, writable;
	bool read_over; /* its FIN was read */
};

/* What one end sends and the other gets. */
struct flow {
	struct lane *lane;	     /* borrowed: of main */
	struct chunk *first, **last; /* owned */
	int64_t open_at;
	bool shut; /* the FIN was passed on */
};

struct link {
	struct end ends[2];   /* who connected, who was connected to */
	struct flow flows[2]; /* flows[i] goes from ends[i] to ends[!i] */
	bool broken;
};

struct delay {
	struct sockaddr_in listen, target;
	int64_t delay_ns;
	struct lane lanes[2];
	size_t piece;
	int buffer; /* SO_RCVBUF and SO_SNDBUF, bytes */
	int fd, epfd;
	int n_links, turn; /* turn: who may put the next piece into the bottleneck */
	struct link *links[LINKS_CAP];
};

static void delay_tune(const struct delay *d, int fd)
{
	int one = 1, mss = 1448;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &d->buffer, sizeof d->buffer);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &d->buffer, sizeof d->buffer);
}

static void link_watch(struct delay *d, struct link *l, int i)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};

	/* The lowest bit of the pointer says which end it is. */
	ev.data.u64 = (uint64_t)(uintptr_t)l | (uint64_t)i;
	fcntl(l->ends[i].fd, F_SETFL, fcntl(l->ends[i].fd, F_GETFL) | O_NONBLOCK);
	if (epoll_ctl(d->epfd, EPOLL_CTL_ADD, l->ends[i].fd, &ev) == -1)
		common_die("delay: epoll_ctl: %s", strerror(errno));
}

static void link_new(struct delay *d, int visitor)
{
	struct link *l = calloc(1, sizeof *l);
	int64_t now = common_now();
	int i, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (l == NULL || fd == -1 || d->n_links == LINKS_CAP)
		common_die("delay: no memory, descriptor or place for one more connection");
	delay_tune(d, fd);
	if (connect(fd, (struct sockaddr *)&d->target, sizeof d->target) == -1) {
		close(fd);
		close(visitor);
		free(l);
		return;
	}
	l->ends[0].fd = visitor;
	l->ends[1].fd = fd;
	for (i = 0; i < 2; i++) {
		l->ends[i].writable = l->ends[i].readable = true;
		l->flows[i].lane = &d->lanes[i];
		l->flows[i].last = &l->flows[i].first;
		l->flows[i].open_at = now + (2 + i) * d->delay_ns;
		link_watch(d, l, i);
	}
	d->links[d->n_links++] = l;
}

static void flow_drop(struct flow *f)
{
	struct chunk *c;

	while ((c = f->first) != NULL) {
		f->first = c->next;
		f->lane->held -= (int64_t)(c->len - c->off);
		free(c);
	}
}

static void link_free(struct link *l)
{
	int i;

	for (i = 0; i < 2; i++) {
		flow_drop(&l->flows[i]);
		close(l->ends[i].fd);
	}
	free(l);
}

/* Give the receiver what has arrived by now. */
static void flow_deliver(struct link *l, int i, int64_t now)
{
	struct flow *f = &l->flows[i];
	struct end *to = &l->ends[!i];
	struct chunk *c;
	ssize_t n;

	while ((c = f->first) != NULL && c->due <= now && to->writable) {
		if (c->len == 0) {
			shutdown(to->fd, SHUT_WR);
			f->shut = true;
		} else {
			n = send(to->fd, c->data + c->off, c->len - c->off, MSG_NOSIGNAL);
			if (n == -1) {
				to->writable = false;
				l->broken |= errno != EAGAIN && errno != EINTR;
				return;
			}
			f->lane->held -= n;
			c->off += (size_t)n;
			if (c->off < c->len)
				continue;
		}
		if ((f->first = c->next) == NULL)
			f->last = &f->first;
		free(c);
	}
}

/* When this flow's next byte may enter the path, as far as is known now. */
static int64_t flow_opens(const struct link *l, int i, int64_t now)
{
	const struct flow *f = &l->flows[i];
	int64_t at = f->open_at;

	if (!l->ends[i].readable || l->ends[i].read_over || f->lane->held >= HELD_CAP)
		return NEVER;
	if (f->first != NULL && f->first->due + STALL_NS < now && !l->ends[!i].writable)
		return NEVER;
	if (f->lane->ns_per_byte > 0 && f->lane->free_at - f->lane->queue_ns > at)
		at = f->lane->free_at - f->lane->queue_ns;
	return at;
}

/* Read one piece from the sender into the path; true if there was one. */
static bool flow_admit(struct delay *d, struct link *l, int i, int64_t now)
{
	struct flow *f = &l->flows[i];
	struct chunk *c = malloc(sizeof *c + d->piece), *smaller;
	ssize_t n;

	if (c == NULL)
		common_die("delay: no memory");
	n = recv(l->ends[i].fd, c->data, d->piece, 0);
	if (n == -1) {
		free(c);
		l->ends[i].readable = false;
		l->broken |= errno != EAGAIN && errno != EINTR;
		return false;
	}
	if ((size_t)n < d->piece / 2 && (smaller = realloc(c, sizeof *c + (size_t)n)) != NULL)
		c = smaller;
	l->ends[i].read_over = n == 0;
	if (f->lane->free_at < now)
		f->lane->free_at = now;
	f->lane->free_at += (int64_t)((double)n * f->lane->ns_per_byte);
	f->lane->held += n;
	c->next = NULL;
	c->due = f->lane->free_at + d->delay_ns;
	c->len = (size_t)n;
	c->off = 0;
	*f->last = c;
	f->last = &c->next;
	return true;
}

/* Let everybody have one turn at the bottleneck; true if anything came in. */
static bool delay_admit(struct delay *d, int64_t now)
{
	bool any = false;
	int i, k, first = d->turn;

	for (k = 0; k < d->n_links; k++) {
		struct link *l = d->links[(first + k) % d->n_links];

		for (i = 0; i < 2; i++) {
			if (flow_opens(l, i, now) > now || !flow_admit(d, l, i, now))
				continue;
			any = true;
			d->turn = (first + k + 1) % d->n_links;
		}
	}
	return any;
}

/* Drop what is over; returns when there is something to do again, if no socket says so before. */
static int64_t delay_sweep(struct delay *d, int64_t now)
{
	int64_t wake = NEVER, at;
	int i, k;

	for (k = 0; k < d->n_links; k++) {
		struct link *l = d->links[k];

		if (l->broken || (l->flows[0].shut && l->flows[1].shut)) {
			link_free(l);
			d->links[k--] = d->links[--d->n_links];
			continue;
		}
		for (i = 0; i < 2; i++) {
			at = flow_opens(l, i, now);
			wake = at < wake ? at : wake;
			if (l->flows[i].first != NULL && l->ends[!i].writable)
				wake = l->flows[i].first->due < wake ? l->flows[i].first->due
								     : wake;
		}
	}
	return wake;
}

static void delay_wait(struct delay *d, int64_t until)
{
	struct epoll_event evs[256];
	int64_t left = until == NEVER ? 3600 * NS_PER_S : until - common_now();
	struct timespec ts = {0};
	int i, n, visitor;

	if (left > 0)
		ts = (struct timespec){left / NS_PER_S, left % NS_PER_S};
	n = epoll_pwait2(d->epfd, evs, 256, &ts, NULL);
	for (i = 0; i < n; i++) {
		struct link *l = (struct link *)(uintptr_t)(evs[i].data.u64 & ~1ULL);
		struct end *end;

		if (l == NULL) {
			while ((visitor = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC)) != -1)
				link_new(d, visitor);
			continue;
		}
		end = &l->ends[evs[i].data.u64 & 1];
		end->readable |= (evs[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0;
		end->writable |= (evs[i].events & EPOLLOUT) != 0;
		l->broken |= (evs[i].events & EPOLLERR) != 0;
	}
}

static void delay_run(struct delay *d)
{
	int64_t now, wake;
	int i, k;

	for (;;) {
		now = common_now();
		for (k = 0; k < d->n_links; k++) {
			for (i = 0; i < 2; i++)
				flow_deliver(d->links[k], i, now);
		}
		wake = delay_admit(d, now) ? now : delay_sweep(d, now);
		delay_wait(d, wake);
	}
}

static void delay_listen(struct delay *d)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int one = 1;

	d->epfd = epoll_create1(EPOLL_CLOEXEC);
	d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	delay_tune(d, d->fd); /* accepted sockets inherit it; buffers must be known at the SYN */
	if (bind(d->fd, (struct sockaddr *)&d->listen, sizeof d->listen) == -1 ||
	    listen(d->fd, 1024) == -1 || epoll_ctl(d->epfd, EPOLL_CTL_ADD, d->fd, &ev) == -1)
		common_die("delay: listen: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct delay d = {.piece = PIECE_FULL, .buffer = 1 << 20};
	const char *from = NULL, *to = NULL;
	double one_way_ms = 0, mbit = 0, queue_ms = 10;
	int opt, i;

	while ((opt = getopt(argc, argv, "l:t:d:r:q:")) != -1) {
		switch (opt) {
		case 'l': from = optarg; break;
		case 't': to = optarg; break;
		case 'd': one_way_ms = atof(optarg); break;
		case 'r': mbit = atof(optarg); break;
		case 'q': queue_ms = atof(optarg); break;
		default: return 2;
		}
	}
	if (from == NULL || to == NULL)
		common_die("delay: see the head of delay.c");
	d.listen = common_addr(from);
	d.target = common_addr(to);
	d.delay_ns = (int64_t)(one_way_ms * 1e6);
	for (i = 0; i < 2; i++) {
		d.lanes[i].ns_per_byte = mbit > 0 ? 8000 / mbit : 0;
		d.lanes[i].queue_ns = (int64_t)(queue_ms * 1e6);
	}
	if (mbit > 0) {
		d.piece = PIECE_RATE;
		d.buffer = (int)(mbit * 125); /* bytes that pass in a ms */
		d.buffer = d.buffer < 2 * PIECE_RATE ? 2 * PIECE_RATE : d.buffer;
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	delay_listen(&d);
	delay_run(&d);
}
