/*
 * Lives through many seeds, a process for each batch, so that a crash names its seed too.
 *
 *	sim [--seeds N] [--first S] [--jobs J] [--only KIND]   N worlds from seed S on
 *	sim --seed X [--verbose] [--only KIND]      one world again, with all that happens in it
 *
 * Of three seeds in a row one makes a cluster of nodes (it can be divided by three), the next one a
 * world of HTTP tunnels, and one a pool of agents behind ports. About every tenth is lived twice:
 * the second time must be the same to the last event. A KIND is fleet, world or pool: then each
 * seed makes one of these.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"
#include "sim/fleet.h"
#include "sim/pool.h"
#include "sim/world.h"

#define SEEDS	    1500
#define TWICE_EVERY 11 /* no multiple of three, so that all kinds are */
#define JOBS_MAX    64

static const struct sim_kind {
	const char *name;
	bool (*run)(uint64_t seed, bool verbose, struct stage_result *out);
} kinds[] = {{"fleet", fleet_run}, {"world", world_run}, {"pool", pool_run}};

struct sim_opt {
	uint64_t n_seeds, first, jobs;
	const struct sim_kind *only; /* NULL: as the seed says */
	bool one, verbose;
	const char *program;
};

/* What a job has come to; shared with its parent. */
struct sim_job {
	uint64_t seed; /* in hand */
	uint64_t n_done, n_visits, virtual_ms;
	uint32_t heal_ms; /* the slowest */
	bool failed;
};

static bool sim_live(const struct sim_opt *opt, uint64_t seed, bool verbose,
		     struct stage_result *out)
{
	const struct sim_kind *kind = opt->only;

	if (kind == NULL)
		kind = &kinds[seed % ARRAY_LEN(kinds)];
	return kind->run(seed, verbose, out);
}

static bool sim_one(const struct sim_opt *opt, uint64_t seed, bool twice,
		    struct stage_result *result)
{
	struct stage_result again;

	if (!sim_live(opt, seed, false, result))
		return false;
	if (!twice)
		return true;
	if (!sim_live(opt, seed, false, &again))
		return false;
	if (again.trace == result->trace)
		return true;
	printf("seed %llu: two runs differ\n", (unsigned long long)seed);
	return false;
}

static void sim_job(const struct sim_opt *opt, uint64_t number, struct sim_job *job)
{
	for (uint64_t i = number; i < opt->n_seeds && !job->failed; i += opt->jobs) {
		struct stage_result r = {0};

		job->seed = opt->first + i;
		job->failed = !sim_one(opt, job->seed, i % TWICE_EVERY == 0, &r);
		job->n_done += !job->failed;
		job->n_visits += r.n_visits;
		job->virtual_ms += r.virtual_ms;
		job->heal_ms = MAX(job->heal_ms, r.heal_ms);
	}
}

static bool sim_wait(const struct sim_opt *opt, pid_t pid, const struct sim_job *job)
{
	int status = 0;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !job->failed)
		return true;
	if (WIFSIGNALED(status))
		printf("seed %llu: ended by signal %d\n", (unsigned long long)job->seed,
		       WTERMSIG(status));
	printf("again: %s%s%s --seed %llu --verbose\n", opt->program,
	       opt->only == NULL ? "" : " --only ", opt->only == NULL ? "" : opt->only->name,
	       (unsigned long long)job->seed);
	return false;
}

/* Returns the number of jobs that failed. */
static int sim_many(const struct sim_opt *opt)
{
	struct sim_job sum = {0}, *jobs;
	pid_t pids[JOBS_MAX];
	int n_failed = 0;

	jobs = mmap(NULL, sizeof *jobs * opt->jobs, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(jobs != MAP_FAILED);
	for (uint64_t i = 0; i < opt->jobs; i++) {
		fflush(stdout);
		if ((pids[i] = fork()) == 0) {
			sim_job(opt, i, &jobs[i]);
			fflush(stdout);
			if (jobs[i].failed)
				_exit(1); /* its world lies about, and is no leak */
			exit(0);
		}
		CHECK(pids[i] > 0);
	}
	for (uint64_t i = 0; i < opt->jobs; i++) {
		n_failed += !sim_wait(opt, pids[i], &jobs[i]);
		sum.n_done += jobs[i].n_done;
		sum.n_visits += jobs[i].n_visits;
		sum.virtual_ms += jobs[i].virtual_ms;
		sum.heal_ms = MAX(sum.heal_ms, jobs[i].heal_ms);
	}
	printf("%llu worlds, %llu visits, %llu h of virtual time; healed within %u ms\n",
	       (unsigned long long)sum.n_done, (unsigned long long)sum.n_visits,
	       (unsigned long long)(sum.virtual_ms / 3600000), sum.heal_ms);
	munmap(jobs, sizeof *jobs * opt->jobs);
	return n_failed;
}

static bool sim_number(const char *text, uint64_t max, uint64_t *out)
{
	return text != NULL && num_parse(str_of(text), max, out) == 0;
}

static const struct sim_kind *sim_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (name != NULL && strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* Returns false when the arguments are wrong. */
static bool sim_parse(int argc, char **argv, struct sim_opt *opt)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--verbose") == 0) {
			opt->verbose = true;
			continue;
		}
		i++;
		if (strcmp(argv[i - 1], "--seeds") == 0 &&
		    sim_number(value, UINT32_MAX, &opt->n_seeds))
			continue;
		if (strcmp(argv[i - 1], "--jobs") == 0 && sim_number(value, JOBS_MAX, &opt->jobs) &&
		    opt->jobs > 0)
			continue;
		if (strcmp(argv[i - 1], "--only") == 0 && (opt->only = sim_kind(value)) != NULL)
			continue;
		opt->one = opt->one || strcmp(argv[i - 1], "--seed") == 0;
		if ((strcmp(argv[i - 1], "--seed") == 0 || strcmp(argv[i - 1], "--first") == 0) &&
		    sim_number(value, UINT32_MAX, &opt->first))
			continue;
		fprintf(stderr, "usage: sim [--seeds N] [--first S] [--jobs J] [--only KIND]\n"
				"       sim --seed X [--verbose] [--only KIND]\n");
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sim_opt opt = {.n_seeds = SEEDS, .first = 1, .jobs = 2, .program = argv[0]};
	struct stage_result r = {0};

	if (!sim_parse(argc, argv, &opt))
		return 2;
	if (!opt.one)
		return sim_many(&opt) == 0 ? 0 : 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!sim_live(&opt, opt.first, opt.verbose, &r)) {
		fflush(stdout);
		_exit(1); /* the world lies about, and is no leak */
	}
	printf("seed %llu: %zu visits, healed within %u ms, trace %016llx\n",
	       (unsigned long long)opt.first, r.n_visits, r.heal_ms, (unsigned long long)r.trace);
	return 0;
}
