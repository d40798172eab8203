/* The doors ask who serves a name, and the node knows: here the one is led to the other. */
#include "app/worker_pass.h"

static const char *worker_pass_on_host(void *arg, struct str host)
{
	return node_worker_for_host(arg, host);
}

static const char *worker_pass_on_sni(void *arg, struct str sni)
{
	return node_worker_for_sni(arg, sni);
}

static const char *worker_pass_on_tunnel(void *arg, const char *tunnel)
{
	return node_worker_for(arg, tunnel);
}

static const char *worker_pass_on_agent(void *arg, struct str nodes)
{
	return node_worker_for_agent(arg, nodes);
}

static const char *worker_pass_on_heir(void *arg)
{
	return node_worker_heir(arg);
}

/* The ports are there before the node is, and serve nobody until then. */
static bool worker_pass_on_port(void *arg, int fd, const struct proxy_visitor *v,
				const char *tunnel)
{
	struct worker_pass *p = arg;

	return p->way.pass != NULL && pass_door_port(&p->way, fd, v, tunnel);
}

static bool worker_pass_on_hand_over(void *arg, int fd, const char *tunnel)
{
	struct worker_pass *p = arg;

	return p->way.pass != NULL && pass_door_hand_over(&p->way, fd, tunnel);
}

void worker_pass_ports(struct worker_pass *p, const struct worker *w, struct port_socket_opt *ports)
{
	if (!w->on)
		return;
	str_printf(p->claims, sizeof p->claims, "%s/ports", w->dir);
	ports->claims = p->claims;
	ports->elsewhere = worker_pass_on_port;
	ports->hand_over = worker_pass_on_hand_over;
	ports->elsewhere_arg = p;
}

int worker_pass_open(struct worker_pass *p, const struct worker *w,
		     const struct worker_pass_opt *opt)
{
	struct pass_opt pass = {.dir = w->dir,
				.self = node_id(opt->node),
				.log = opt->log,
				.taken = pass_door_taken,
				.arg = &p->home};

	p->home = (struct pass_home){.ev = opt->ev,
				     .node = opt->node,
				     .ports = opt->ports,
				     .tls = opt->tls};
	p->way = (struct pass_way){.domain = opt->domain,
				   .api_host = opt->api_host,
				   .host = worker_pass_on_host,
				   .sni = worker_pass_on_sni,
				   .tunnel = worker_pass_on_tunnel,
				   .agent = worker_pass_on_agent,
				   .heir = worker_pass_on_heir,
				   .arg = opt->node};
	return pass_new(opt->ev, &pass, &p->way.pass);
}

const struct pass_way *worker_pass_way(const struct worker_pass *p)
{
	return p->way.pass == NULL ? NULL : &p->way;
}

void worker_pass_close(struct worker_pass *p)
{
	pass_free(p->way.pass);
	p->way.pass = NULL;
}
