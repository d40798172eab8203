/* By itself the C library gives buffers from 128 KiB on back at once, or as soon as they end its
 * heap. */
#include "app/heap.h"

#include <malloc.h>

void heap_keep(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK);
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE);
}
