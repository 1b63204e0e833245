// Memory whose mappings are split, merged, moved and discarded all the time, and so large that it is
// still arriving after a restart: mprotect(2), madvise(2), mremap(2), mmap(2) over it, fork(2).
#include "conformance.h"

enum { BLOCK_PAGES = 16, BLOCKS = 768, PAGES = BLOCKS * BLOCK_PAGES };
#define BLOCK (BLOCK_PAGES * PAGE)

static char *memory, *aside;
static unsigned seeds[PAGES]; // of each page's content; 0: zeroes
static unsigned last_seed;

static void check_page(const char *what, unsigned page)
{
    if (seeds[page]) check_pattern(what, memory + page * PAGE, PAGE, seeds[page]);
    else check_zero(what, memory + page * PAGE, PAGE);
}

static void write_page(unsigned page)
{
    fill(memory + page * PAGE, PAGE, seeds[page] = ++last_seed);
}

// The child lacks the same pages as its parent.
static void check_in_child(unsigned page)
{
    pid_t child = must(fork());
    int status;
    if (child == 0) {
        check_page("page in a child", page);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0) check(errno == EINTR, "waitpid");
    check_equal("status of the child", status, 0);
}

static unsigned random_number(void)
{
    static unsigned state = 1;
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static void change(unsigned block, unsigned action)
{
    char *m = memory + block * BLOCK;
    unsigned page = block * BLOCK_PAGES + random_number() % BLOCK_PAGES;
    switch (action) {
    case 0: // stays split until the block is drawn again
        must(mprotect(m, (1 + random_number() % BLOCK_PAGES) * PAGE, PROT_READ));
        break;
    case 1: must(mprotect(m, BLOCK, PROT_READ | PROT_WRITE)); break;
    case 2: must(madvise(m + BLOCK / 2, BLOCK / 4, random_number() & 1 ? MADV_DONTDUMP : MADV_DODUMP)); break;
    case 3:
        must(madvise(memory + page * PAGE, PAGE, MADV_DONTNEED));
        seeds[page] = 0;
        break;
    case 4:
        must(mmap(memory + page * PAGE, PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        seeds[page] = 0;
        break;
    case 5:
        must(mprotect(m, BLOCK, PROT_READ | PROT_WRITE));
        must(madvise(m, BLOCK, MADV_DODUMP)); // mremap moves one mapping
        for (int i = 0; i < BLOCK_PAGES; i++) { // so it does page by page
            must(mremap(m + i * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, aside + i * PAGE));
            must(mremap(aside + i * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, m + i * PAGE));
        }
        break;
    case 6:
        if (random_number() % 8 == 0) {
            for (unsigned i = 0; i < 8; i++) check_in_child(random_number() % PAGES);
            break;
        }
        // fall through
    default:
        must(mprotect(m, BLOCK, PROT_READ | PROT_WRITE));
        check_page("page to be written", page);
        write_page(page);
    }
}

int main(void)
{
    memory = map_anonymous(BLOCKS * BLOCK);
    aside = map_anonymous(BLOCK);
    for (unsigned page = 0; page < PAGES; page++) write_page(page);
    unsigned rounds = 0;
    ready();
    do change(random_number() % BLOCKS, random_number() % 8);
    while (++rounds % 16 || !is_go());
    for (unsigned page = 0; page < PAGES; page++) check_page("page at the end", page);
    pass();
}
