/* Requests are written as text, so that what the server's parser makes of them is tested too. */
#include "unit/api/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "wire/wire_mem.h"

/* ---- the node that the API belongs to ---- */

static bool rig_is_ready(void *arg, const char **why)
{
	*why = "the test says so";
	return ((struct api_rig *)arg)->ready;
}

static void rig_facts(void *arg, struct api_facts *out)
{
	*out = (struct api_facts){1, 2, 3, 4, 5};
}

static const struct api_ssh rig_ssh = {
	.keys = {{"ssh-ed25519", "SHA256:abc", "ssh-ed25519 AAAA"},
		 {"ssh-rsa", "SHA256:def", "ssh-rsa BBBB"}},
	.n_keys = 2,
	.ports = {2222, 22},
	.n_ports = 2,
};

static void rig_on_started(void *arg, const struct core_started *result)
{
	struct api_rig *r = arg;

	assert_int_equal(result->e, 0);
	memcpy(r->token[ADMIN], result->token, CORE_TOKEN_TEXT);
}

static void rig_make_user(struct api_rig *r, enum api_asker_kind who)
{
	struct told_login told = core_rig_login(&r->core, STR(""));

	assert_int_equal(told.result.e, 0);
	memcpy(r->token[who], told.result.token, CORE_TOKEN_TEXT);
	memcpy(r->number, told.result.number, CORE_NUMBER_TEXT);
	r->who[who] = told.result.who;
}

/* ---- ports ---- */

struct port {
	struct api_rig *rig;
};

static int rig_take(void *arg, const char *bind, uint16_t port, struct port **out)
{
	struct api_rig *r = arg;

	if (port == API_RIG_BUSY)
		return ERR_INUSE;
	if (strcmp(bind, API_RIG_NOWHERE) == 0)
		return ERR_INVAL;
	*out = calloc(1, sizeof **out);
	assert_non_null(*out);
	(*out)->rig = r;
	r->n_ports++;
	return 0;
}

static int rig_let(struct port *p, const char *tunnel)
{
	return 0;
}

static void rig_give_up(struct port *p)
{
	if (p != NULL)
		p->rig->n_ports--;
	free(p);
}

/* ---- life ---- */

static void rig_new(struct api_rig *r, enum core_registration registration)
{
	assert_int_equal(core_start(r->core.core, rig_on_started, r), 0);
	core_rig_run(&r->core);
	rig_make_user(r, OTHER);
	rig_make_user(r, USER);
	str_printf(r->token[STRANGER], CORE_TOKEN_TEXT,
		   "kz_0000000000000000000000000000000000000000000");
	if (registration != CORE_OPEN) {
		core_free(r->core.core);
		r->core.opt.registration = registration;
		assert_int_equal(core_new(r->core.ev, &r->core.opt, &r->core.core), 0);
	}
	assert_int_equal(password_new(r->core.ev, &r->passwords), 0);
	r->ready = true;
	r->opt = (struct api_opt){.core = r->core.core,
				  .passwords = r->passwords,
				  .log = &r->core.log,
				  .domain = "localhost",
				  .host = "api.localhost",
				  .scheme = "http",
				  .port = 8080,
				  .tls_port = r->core.opt.tls_port,
				  .registration = registration,
				  .store = "memory",
				  .ssh = &rig_ssh,
				  .ready = rig_is_ready,
				  .facts = rig_facts,
				  .arg = r};
	assert_int_equal(api_new(r->core.ev, &r->opt, &r->api), 0);
}

void api_rig_new(struct api_rig *r, enum core_registration registration)
{
	memset(r, 0, sizeof *r);
	core_rig_new(&r->core, true);
	rig_new(r, registration);
}

void api_rig_new_with_ports(struct api_rig *r)
{
	static const struct access_ports ports = {1024, UINT16_MAX};

	memset(r, 0, sizeof *r);
	core_rig_new(&r->core, true);
	core_free(r->core.core);
	r->core.opt.ports = (struct core_ports){rig_take, rig_let, rig_give_up, r};
	r->core.opt.tcp_ports = &ports;
	r->core.opt.n_tcp_ports = 1;
	r->core.opt.tls_port = 8443;
	r->core.opt.domains_unproven = true;
	assert_int_equal(core_new(r->core.ev, &r->core.opt, &r->core.core), 0);
	rig_new(r, CORE_OPEN);
}

void api_rig_free(struct api_rig *r)
{
	api_rig_hang_up(r);
	json_free(r->body);
	free(r->got);
	api_free(r->api);
	password_free(r->passwords);
	core_rig_free(&r->core);
	assert_int_equal(r->n_ports, 0);
}

/* ---- one connection ---- */

static void rig_keep(struct api_rig *r, struct str in)
{
	if (r->n_got + in.len + 1 > r->got_cap) {
		r->got_cap = 2 * (r->n_got + in.len + 1);
		r->got = realloc(r->got, r->got_cap);
		assert_non_null(r->got);
	}
	memcpy(r->got + r->n_got, in.p, in.len);
	r->n_got += in.len;
	r->got[r->n_got] = '\0';
}

static void rig_on_ready(void *arg, struct wire *w, int events)
{
	struct api_rig *r = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 65536, &in)) == 0)
		rig_keep(r, in);
	if (e != ERR_AGAIN)
		wire_want(w, 0);
}

static void rig_on_broken(void *arg, struct wire *w, int why)
{
	wire_want(w, 0);
}

static const struct wire_owner rig_owner = {rig_on_ready, rig_on_broken};

static void rig_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	struct api_rig *r = arg;

	if (r->manage)
		api_manage_request(r->api, c, req);
	else if (r->open)
		api_open(r->api, c, req);
	else if (api_wants(req))
		api_request(r->api, c, req);
	else
		http_conn_reply(c, &(struct http_page){.status = 418});
}

static void rig_on_closed(void *arg, struct http_conn *c)
{
	((struct api_rig *)arg)->conn = NULL;
}

void api_rig_hang_up(struct api_rig *r)
{
	wire_close(r->peer, 0);
	r->peer = NULL;
	core_rig_run(&r->core);
	http_conn_close(r->conn);
	r->conn = NULL;
	core_rig_run(&r->core);
}

static void rig_connect(struct api_rig *r)
{
	static const struct wire_mem_opt mem = {.cap = 8 << 20};
	struct http_conn_opt opt = {.deadlines = &r->deadlines,
				    .request = rig_on_request,
				    .closed = rig_on_closed,
				    .arg = r};
	struct wire *near;

	assert_int_equal(wire_mem_pair(r->core.ev, &mem, &near, &r->peer), 0);
	wire_own(r->peer, &rig_owner, r);
	wire_want(r->peer, WIRE_READ);
	assert_int_equal(http_conn_new(r->core.ev, near, &opt, &r->conn), 0);
}

unsigned api_rig_wait(struct api_rig *r, uint64_t ms)
{
	const char *end;

	ev_sim_run_for(r->core.ev, ms);
	if (r->n_got == 0 || (end = strstr(r->got, "\r\n\r\n")) == NULL)
		return 0;
	assert_int_equal(sscanf(r->got, "HTTP/1.1 %u ", &r->status), 1);
	str_printf(r->head, sizeof r->head, "%.*s", (int)(end + 2 - r->got), r->got);
	json_free(r->body);
	r->body = NULL;
	(void)!json_parse(str_of(end + 4), 8 << 20, &r->body);
	return r->status;
}

unsigned api_rig_send(struct api_rig *r, const char *bytes, size_t len)
{
	if (r->peer != NULL)
		api_rig_hang_up(r);
	r->n_got = 0;
	r->status = 0;
	r->head[0] = '\0';
	rig_connect(r);
	assert_int_equal(wire_write_all(r->peer, (struct str){bytes, len}), 0);
	return api_rig_wait(r, 10);
}

unsigned api_rig_ask_with(struct api_rig *r, enum api_asker_kind who, const char *what,
			  const char *extra, const char *body)
{
	char request[8192];
	size_t n = str_printf(request, sizeof request, "%s HTTP/1.1\r\nHost: %s\r\n", what,
			      r->open ? "open.localhost" : "localhost");

	if (who != NOBODY)
		n += str_printf(request + n, sizeof request - n, "Authorization: Bearer %s\r\n",
				r->token[who]);
	n += str_printf(request + n, sizeof request - n, "%s", extra);
	if (body != NULL)
		n += str_printf(request + n, sizeof request - n,
				"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
				strlen(body), body);
	else
		n += str_printf(request + n, sizeof request - n, "\r\n");
	assert_true(n < sizeof request - 1);
	return api_rig_send(r, request, n);
}

unsigned api_rig_ask(struct api_rig *r, enum api_asker_kind who, const char *what, const char *body)
{
	return api_rig_ask_with(r, who, what, "", body);
}

/* ---- the answer ---- */

/* The value of a dotted path; its last step stays in key, its holder is returned. */
static const struct json *rig_holder(struct api_rig *r, const char *path, char key[64])
{
	struct str rest = str_of(path), step;
	const struct json *at = r->body, *next;
	uint64_t i;

	while (at != NULL && str_next(&rest, '.', &step)) {
		assert_int_equal(str_copy(key, 64, step), 0);
		if (rest.p == NULL)
			return at;
		if (num_parse(step, 1000, &i) == 0)
			at = json_at(at, (size_t)i);
		else if (json_get_object(at, key, &next) == 0 || json_get_list(at, key, &next) == 0)
			at = next;
		else
			at = NULL;
	}
	return NULL;
}

const char *api_rig_text(struct api_rig *r, const char *path)
{
	const struct json *at;
	char key[64];
	uint64_t i;
	struct str s;

	if ((at = rig_holder(r, path, key)) == NULL)
		return "";
	if (num_parse(str_of(key), 1000, &i) == 0)
		return json_at(at, (size_t)i) != NULL && json_text(json_at(at, (size_t)i), &s) == 0
			       ? s.p
			       : "";
	return json_get_text(at, key, &s) == 0 ? s.p : "";
}

uint64_t api_rig_number(struct api_rig *r, const char *path)
{
	const struct json *at;
	uint64_t n;
	char key[64];

	if ((at = rig_holder(r, path, key)) == NULL ||
	    json_get_number(at, key, JSON_NUMBER_MAX, &n) != 0)
		return UINT64_MAX;
	return n;
}

size_t api_rig_count(struct api_rig *r, const char *path)
{
	const struct json *at, *list;
	char key[64];

	if ((at = rig_holder(r, path, key)) == NULL || json_get_list(at, key, &list) != 0)
		return SIZE_MAX;
	return json_count(list);
}

bool api_rig_bool(struct api_rig *r, const char *path)
{
	const struct json *at;
	char key[64];
	bool value;

	return (at = rig_holder(r, path, key)) != NULL && json_get_bool(at, key, &value) == 0 &&
	       value;
}

const char *api_rig_field(struct api_rig *r, const char *name)
{
	size_t len = strlen(name), n = 0;
	const char *line = r->head;

	r->field[0] = '\0';
	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		for (line += len + 2; *line != '\r' && n + 1 < sizeof r->field; line++)
			r->field[n++] = *line;
		r->field[n] = '\0';
		break;
	}
	return r->field;
}
