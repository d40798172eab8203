/* The parts of a start that only read. */
#include "app/karezd_try.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/cluster_key.h"
#include "app/door.h"
#include "app/karezd_ssh.h"
#include "app/socket_plan.h"
#include "app/supervisor_check.h"

void karezd_try_tls(const struct karezd_settings *set, const char *const *asked, struct log *log,
		    struct tls_context_server *out)
{
	static const char *const alpn[] = {"http/1.1", NULL};

	*out = (struct tls_context_server){.cert_file = set->tls_cert,
					   .key_file = set->tls_key,
					   .dir = set->tls_dir,
					   .alpn = alpn,
					   .client_ca_file = set->agent_ca,
					   .client_crl_file = set->agent_crl,
					   .client_ca_names = asked,
					   .client_required = asked == NULL,
					   .log = log};
}

static int karezd_try_fail(const char *what, const char *why)
{
	fprintf(stderr, "karezd: %s%s%s\n", what, what[0] != '\0' ? ": " : "", why);
	return 1;
}

static bool karezd_try_wants_tls(const struct karezd_settings *set)
{
	struct door_where where;

	for (size_t i = 0; i < set->listen.n; i++)
		if (door_parse(str_of(set->listen.v[i]), &where) == 0 &&
		    karezd_serves_tls(set, &where))
			return true;
	return set->manage_listen != NULL;
}

static int karezd_try_files(const struct karezd_settings *set, struct log *log)
{
	static const char *const nobody[] = {NULL};
	char tls_why[TLS_CONTEXT_WHY], ssh_why[KAREZD_SSH_WHY], key_why[CLUSTER_KEY_WHY];
	uint8_t key[CLUSTER_KEY_LEN];
	struct tls_context_server opt;
	struct tls_context *ctx = NULL;

	karezd_try_tls(set, set->agent_ca != NULL ? NULL : nobody, log, &opt);
	if (karezd_try_wants_tls(set)) {
		if (tls_context_new_server(&opt, &ctx, tls_why) != 0)
			return karezd_try_fail("TLS", tls_why);
		tls_context_free(ctx);
	}
	if (karezd_serves_ssh(set) && karezd_ssh_check_ca(set, ssh_why) != 0)
		return karezd_try_fail("SSH", ssh_why);
	if (set->cluster_key != NULL && cluster_key_read(set->cluster_key, key, key_why) != 0)
		return karezd_try_fail("", key_why);
	return 0;
}

/* Those that are not the supervisor's already: opened, and closed again. */
static int karezd_try_sockets(const struct karezd_settings *set, const char *has)
{
	struct socket_table *had = must_calloc(2, sizeof *had), *opened = had + 1;
	struct socket_plan *plan = must_calloc(1, sizeof *plan);
	char why[SOCKET_TABLE_WHY];
	int code = 0;

	socket_plan_of(set, plan);
	if (socket_table_parse(str_of(has), had) == 0) {
		if (socket_plan_open(plan, had, opened, why) != 0)
			code = karezd_try_fail("", why);
		else
			socket_table_close(opened, had);
	}
	free(plan);
	free(had);
	return code;
}

int karezd_try(const struct karezd_settings *set, struct log *log)
{
	const char *has = getenv(SUPERVISOR_CHECK_ENV);
	int code = karezd_try_files(set, log);

	if (code == 0 && has != NULL)
		code = karezd_try_sockets(set, has);
	if (code == 0)
		printf("nothing is wrong\n");
	return code;
}
