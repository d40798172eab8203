/*
 * A lock tells who serves a file, since it goes with its process however that ends; a socket does
 * not. So whoever has the lock may take away the socket that it finds.
 */
#include "app/karez_status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "http/http_conn.h"
#include "http/http_problem.h"
#include "net/net_listen.h"
#include "net/net_sock.h"
#include "wire/wire_tcp.h"

static const struct http_deadlines karez_status_deadlines = {.head_ms = 5000, .idle_ms = 10000};

struct karez_status {
	struct ev *ev;
	struct log *log;
	int (*tell)(void *arg, struct json **out);
	void *arg;
	int lock;				     /* owned: the descriptor of the lock */
	struct net_listener *listener;		     /* owned */
	struct http_conn *conns[KAREZ_STATUS_CONNS]; /* owned; NULL: free */
};

/* ---- answers ---- */

static void karez_status_reply(struct karez_status *s, struct http_conn *c, bool head_only)
{
	struct http_page page = {.status = 200,
				 .content_type = STR("application/json"),
				 .head_only = head_only};
	struct json *j = NULL;
	struct buf text = {0};
	int e = s->tell(s->arg, &j);

	if (e == 0)
		e = json_write(j, KAREZ_STATUS_MAX, &text);
	if (e == 0) {
		page.body = buf_str(&text);
		http_conn_reply(c, &page);
	} else {
		http_problem_reply(c, &(struct http_problem){.code = e});
	}
	buf_free(&text);
	json_free(j);
}

static void karez_status_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	static const struct http_field allow[] = {HTTP_PROBLEM_FIELD("Allow", "GET, HEAD")};

	if (!str_eq(req->path, STR(STATUS_PLACE_PATH)))
		http_problem_reply(c, &(struct http_problem){.code = ERR_NOTFOUND});
	else if (req->method == HTTP_GET || req->method == HTTP_HEAD)
		karez_status_reply(arg, c, req->method == HTTP_HEAD);
	else
		http_problem_reply(c, &(struct http_problem){.status = 405,
							     .code = ERR_UNSUPPORTED,
							     .extra = allow,
							     .n_extra = ARRAY_LEN(allow)});
}

static void karez_status_on_closed(void *arg, struct http_conn *c)
{
	struct karez_status *s = arg;

	for (size_t i = 0; i < KAREZ_STATUS_CONNS; i++)
		if (s->conns[i] == c)
			s->conns[i] = NULL;
}

static void karez_status_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct karez_status *s = arg;
	struct http_conn_opt opt = {.deadlines = &karez_status_deadlines,
				    .request = karez_status_on_request,
				    .closed = karez_status_on_closed,
				    .arg = s};
	struct wire *w = NULL;
	size_t i = 0;

	while (i < KAREZ_STATUS_CONNS && s->conns[i] != NULL)
		i++;
	if (i == KAREZ_STATUS_CONNS || wire_tcp_new(s->ev, fd, NET_VISITOR, &w) != 0)
		net_close(fd, true);
	else if (http_conn_new(s->ev, w, &opt, &s->conns[i]) != 0)
		wire_close(w, ERR_NOMEM);
}

/* ---- the place ---- */

/* Who has the lock, in words. */
static void karez_status_taken(const char *file, int lock, char why[KAREZ_STATUS_WHY])
{
	char pid[32] = "";
	ssize_t n = pread(lock, pid, sizeof pid - 1, 0);

	pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
	str_printf(
		why, KAREZ_STATUS_WHY,
		"%s is served already, by the process %s; \"karez status\" tells how it is doing",
		file, pid[0] != '\0' ? pid : "of another karez up");
}

static int karez_status_failed(const char *path, char why[KAREZ_STATUS_WHY])
{
	int e = err_from_errno(errno);

	str_printf(why, KAREZ_STATUS_WHY, "\"karez status\" will not work: %s: %s", path,
		   strerror(errno));
	return e;
}

static int karez_status_lock(struct karez_status *s, const char *file, const char *path,
			     char why[KAREZ_STATUS_WHY])
{
	char pid[32];
	size_t len;

	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return karez_status_failed(path, why);
	if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK)
			return karez_status_failed(path, why);
		karez_status_taken(file, s->lock, why);
		return ERR_INUSE;
	}
	len = str_printf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(s->lock, 0) != 0 || pwrite(s->lock, pid, len, 0) != (ssize_t)len)
		return karez_status_failed(path, why);
	return 0;
}

static int karez_status_listen(struct karez_status *s, const char *path, char why[KAREZ_STATUS_WHY])
{
	struct net_listen_opt opt = {.accepted = karez_status_on_accepted, .arg = s, .log = s->log};
	char text[STATUS_PLACE_TEXT + 8];
	mode_t before;
	int e;

	str_printf(text, sizeof text, "unix:%s", path);
	e = net_addr_parse(str_of(text), &opt.addr);
	unlink(path);
	before = umask(0177);
	if (e == 0)
		e = net_listen(s->ev, &opt, &s->listener);
	umask(before);
	if (e != 0)
		str_printf(why, KAREZ_STATUS_WHY, "\"karez status\" will not work: %s: %s", path,
			   err_text(e));
	return e;
}

/* Does anybody serve the file who has another folder for it than we have? */
static bool karez_status_is_served(const char *file, const char *path, char why[KAREZ_STATUS_WHY])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool served;

	if (fd < 0)
		return false;
	served = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	if (served)
		karez_status_taken(file, fd, why);
	close(fd);
	return served;
}

static int karez_status_take(struct karez_status *s, const struct karez_status_opt *opt,
			     char why[KAREZ_STATUS_WHY])
{
	char dir[STATUS_PLACE_TEXT], path[STATUS_PLACE_TEXT], lock[STATUS_PLACE_TEXT];
	size_t i = 0;
	int place, e;

	while ((place = status_place(opt->set, i, opt->file, path, lock)) == ERR_NOTFOUND &&
	       i + 1 < STATUS_PLACES)
		i++;
	if (place == ERR_NOTFOUND) {
		str_printf(why, KAREZ_STATUS_WHY,
			   "\"karez status\" will not work: there is neither XDG_RUNTIME_DIR nor "
			   "HOME");
		return place;
	}
	status_place_dir(opt->set, i, dir);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return karez_status_failed(dir, why);
	if ((e = karez_status_lock(s, opt->file, lock, why)) != 0)
		return e;
	while (++i < STATUS_PLACES)
		if (status_place(opt->set, i, opt->file, dir, lock) != ERR_NOTFOUND &&
		    karez_status_is_served(opt->file, lock, why))
			return ERR_INUSE;
	if (place == 0)
		return karez_status_listen(s, path, why);
	str_printf(why, KAREZ_STATUS_WHY,
		   "\"karez status\" will not work: %.300s is too long for a socket; set "
		   "XDG_RUNTIME_DIR to a shorter folder",
		   path);
	return place;
}

int karez_status_open(struct ev *ev, const struct karez_status_opt *opt, struct karez_status **out,
		      char why[KAREZ_STATUS_WHY])
{
	struct karez_status *s = calloc(1, sizeof *s);
	int e;

	*out = NULL;
	if (s == NULL) {
		str_printf(why, KAREZ_STATUS_WHY, "\"karez status\" will not work: %s",
			   err_text(ERR_NOMEM));
		return ERR_NOMEM;
	}
	*s = (struct karez_status){
		.ev = ev, .log = opt->log, .tell = opt->tell, .arg = opt->arg, .lock = -1};
	e = karez_status_take(s, opt, why);
	if (s->lock < 0 || e == ERR_INUSE)
		karez_status_close(s);
	else
		*out = s; /* the lock counts, even without a socket */
	return e;
}

void karez_status_close(struct karez_status *s)
{
	if (s == NULL)
		return;
	net_listener_free(s->listener);
	for (size_t i = 0; i < KAREZ_STATUS_CONNS; i++)
		http_conn_close(s->conns[i]);
	if (s->lock >= 0)
		close(s->lock);
	ev_free_later(s->ev, s);
}
