/*
 * A cluster grows and shrinks while its agents run; they follow it, as far as the person who has
 * started them would.
 */
#include "agent/servers.h"

#include <string.h>

#include "base/map.h"

static bool servers_same(const struct url *a, const struct url *b)
{
	return a->scheme == b->scheme && a->port == b->port && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

void servers_init(struct servers *s, struct ev *ev, const struct url *first,
		  const struct url *others, size_t n)
{
	CHECK(n < SERVERS_GIVEN_MAX);
	*s = (struct servers){.n = 1, .v[0].url = *first};
	ev_random(ev, s->key, sizeof s->key);
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (unsigned k = 0; k < s->n; k++)
			known = known || servers_same(&others[i], &s->v[k].url);
		if (!known)
			s->v[s->n++].url = others[i];
	}
	s->n_given = s->n;
}

/* Is it this name, or one below it? An address of numbers has none below it. */
static bool servers_covers(const struct url *given, const struct url *url)
{
	size_t len = strlen(given->host), more = strlen(url->host);

	if (strcmp(given->host, url->host) == 0)
		return true;
	return given->kind == HOSTNAME_NAME && url->kind == HOSTNAME_NAME && more > len + 1 &&
	       url->host[more - len - 1] == '.' && strcmp(url->host + more - len, given->host) == 0;
}

bool servers_allow(const struct servers *s, const struct url *url)
{
	if (url->scheme != URL_HTTP && url->scheme != URL_HTTPS)
		return false;
	for (unsigned i = 0; i < s->n_given; i++)
		if (s->v[i].url.scheme == url->scheme && servers_covers(&s->v[i].url, url))
			return true;
	return false;
}

/* Where it stands among those that are told. */
static uint64_t servers_rank(const struct servers *s, const struct server *server)
{
	return siphash(s->key, server->node, strlen(server->node));
}

/* Put it where it belongs, if that is among those that are kept. */
static void servers_insert(struct servers *s, const struct server *server)
{
	uint64_t rank = servers_rank(s, server);
	unsigned at = s->n;

	while (at > s->n_given && servers_rank(s, &s->v[at - 1]) > rank)
		at--;
	if (at - s->n_given == SERVERS_LEARNED_MAX)
		return;
	if (s->n - s->n_given == SERVERS_LEARNED_MAX)
		s->n--;
	memmove(&s->v[at + 1], &s->v[at], (s->n - at) * sizeof s->v[0]);
	s->v[at] = *server;
	s->n++;
}

bool servers_learn(struct servers *s, const struct control_nodes *nodes)
{
	struct servers before = *s;
	bool same;

	s->n = s->n_given;
	for (size_t i = 0; i < nodes->n; i++) {
		struct server server = {.node = ""};

		if (url_parse(str_of(nodes->v[i].url), &server.url, NULL) != 0 ||
		    !servers_allow(s, &server.url))
			continue;
		memcpy(server.node, nodes->v[i].id, sizeof server.node);
		servers_insert(s, &server);
	}
	same = s->n == before.n;
	for (unsigned i = s->n_given; i < s->n && same; i++)
		same = strcmp(s->v[i].node, before.v[i].node) == 0 &&
		       servers_same(&s->v[i].url, &before.v[i].url);
	return !same;
}
