/*
 * Runs a fuzz target over files, without a fuzzer: so every compiler replays the seed corpus and
 * the inputs that once failed as an ordinary test. Arguments: files, or folders of files.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLAY_MAX (1 << 20) /* bytes of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Run one file; memory of exactly its size lets a sanitizer see a byte read too much. */
static int replay_file(const char *path)
{
	static uint8_t room[REPLAY_MAX];
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	size_t n;

	if (f == NULL) {
		perror(path);
		return 0;
	}
	n = fread(room, 1, sizeof room, f);
	fclose(f);
	if ((data = malloc(n)) == NULL && n > 0)
		abort();
	for (size_t i = 0; i < n; i++)
		data[i] = room[i];
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 1;
}

/* Run all files of a folder, or the file itself. Returns how many there were. */
static int replay_path(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char *file;
	int n = 0;

	if (dir == NULL)
		return replay_file(path);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
			abort();
		n += replay_file(file);
		free(file);
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		int here = replay_path(argv[i]);

		if (here == 0) {
			fprintf(stderr, "%s: no input there\n", argv[i]);
			return 1;
		}
		n += here;
	}
	printf("%d inputs\n", n);
	return n == 0;
}
