/* Pages of a fork that are again as they were in its zygote are given back. What for, and why that is safe: sharing.py
 * and docs/adr/0017-pages-that-went-back.md.
 *
 * Between comparing a page and letting go of it nothing may write to it. So signals are blocked, there is one thread,
 * and what runs is this file alone: no function of the C library (errno, symbols that are bound late), nothing static
 * that changes, and the stack is left out. Whoever changes this: keep to that. */

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
#define WORDS (PAGE / sizeof(uint64_t))
#define POPULATE_READ 22 /* linux/mman.h, from 5.14 on */

enum { PRESENT = 63, SWAPPED = 62, OF_FILE = 61 }; /* bits of an entry of /proc/self/pagemap */

typedef unsigned long word;

static struct {
    word view;           /* where all of the file can be read; 0: there is none */
    word size;           /* bytes */
    word inode;
    word device;
    pid_t zygote;
    const uint8_t *counts;  /* a bit for each word of the file: a reference count that decides nothing any more */
    const uint8_t *warmups; /* likewise: a code object's co_warmup is in it */
} kept;

static struct sigaction before; /* what SIGURG did without us */

/* ---- system calls, without the C library */

#if defined(__x86_64__)
static inline long call(long number, word a, word b, word c, word d, word e, word f)
{
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = e;
    register word r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long call(long number, word a, word b, word c, word d, word e, word f)
{
    register long x8 __asm__("x8") = number;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    register word x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return (long)x0;
}
#else
static inline long call(long number, word a, word b, word c, word d, word e, word f)
{
    return -ENOSYS; /* so nothing is ever moved */
}
#endif

static inline long open_file(const char *path)
{
    return call(SYS_openat, (word)AT_FDCWD, (word)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

static inline void close_file(long file)
{
    call(SYS_close, file, 0, 0, 0, 0, 0);
}

static inline int failed(long result)
{
    return result < 0 && result > -4096;
}

/* All signals, as the kernel counts them: 64. */
static inline uint64_t block_signals(void)
{
    uint64_t all = ~0ULL, old = 0;
    call(SYS_rt_sigprocmask, SIG_SETMASK, (word)&all, (word)&old, sizeof all, 0, 0);
    return old;
}

static inline void unblock_signals(uint64_t old)
{
    call(SYS_rt_sigprocmask, SIG_SETMASK, (word)&old, 0, sizeof old, 0, 0);
}

/* ---- comparing */

static inline int has(const uint8_t *bits, word number)
{
    return bits[number / 8] >> number % 8 & 1;
}

/* Counts of objects that live for ever are around 3 << 58 (immortal.py): what they are exactly, nobody asks. And how
 * often a code object still has to be called until it is specialised is as good as new, as long as it is not yet. */
static inline int harmless(uint64_t now, uint64_t then, word number)
{
    if (has(kept.counts, number))
        return now >> 59 == 1 && then >> 59 == 1;
    if (has(kept.warmups, number))
        return !((now ^ then) & ~(0xFFFFULL << 32)) && (int64_t)(now << 16) < 0 && (int64_t)(then << 16) < 0;
    return 0;
}

static int went_back(const uint64_t *now, const uint64_t *then, word number)
{
    for (word i = 0; i < WORDS; i++)
        if (now[i] != then[i] && !harmless(now[i], then[i], number + i))
            return 0;
    return 1;
}

static inline int is_own(uint64_t entry)
{
    return entry >> PRESENT & 1 && !(entry >> SWAPPED & 1) && !(entry >> OF_FILE & 1);
}

/* Let go of the pages from `begin` to `end` that are as the file has them from `offset` on. Gives how many. */
static long compare(word begin, word end, word offset, word view, long pagemap)
{
    uint64_t entries[256];
    long given = 0;
    while (begin < end) {
        word count = (end - begin) / PAGE < 256 ? (end - begin) / PAGE : 256;
        word size = count * sizeof entries[0];
        if (call(SYS_pread64, pagemap, (word)entries, size, begin / PAGE * sizeof entries[0], 0, 0) != (long)size)
            break;
        for (word i = 0, run = 0; i <= count; i++) {
            word at = i * PAGE;
            if (i < count && is_own(entries[i]) &&
                went_back((const uint64_t *)(begin + at), (const uint64_t *)(view + offset + at),
                          (offset + at) / sizeof(uint64_t))) {
                run++;
                continue;
            }
            if (run && call(SYS_madvise, begin + at - run * PAGE, run * PAGE, MADV_DONTNEED, 0, 0, 0) == 0)
                given += run;
            run = 0;
        }
        begin += count * PAGE;
        offset += count * PAGE;
    }
    return given;
}

/* A line of /proc/self/maps: "begin-end rw-p offset major:minor inode   name". */
struct line {
    word numbers[7];
    int field, letters, matched;
};

enum { BEGIN, END, MODE, OFFSET, MAJOR, MINOR, INODE, NAME };

/* One more character of it. Is it whole now, as far as it concerns us? */
static inline int take(struct line *line, char c)
{
    if (c == '\n') {
        *line = (struct line){0};
    } else if (line->field == MODE) {
        line->matched += c == "rw-p "[line->letters++];
        line->field += line->letters == 5;
    } else if (line->field < NAME && (c == '-' || c == ':' || c == ' ')) {
        return ++line->field == NAME;
    } else if (line->field < NAME) {
        int base = line->field == INODE ? 10 : 16;
        line->numbers[line->field] = line->numbers[line->field] * base + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return 0;
}

/* Is it of our file, private and writable, and not where this stack is? */
static inline int is_ours(const struct line *line, word stack)
{
    const word *numbers = line->numbers;
    word size = numbers[END] - numbers[BEGIN];
    return line->matched == 5 && numbers[INODE] == kept.inode &&
           makedev(numbers[MAJOR], numbers[MINOR]) == kept.device && size <= kept.size &&
           numbers[OFFSET] <= kept.size - size && !(numbers[BEGIN] <= stack && stack < numbers[END]);
}

/* Gives how many pages were let go of; negative: it could not be tried. */
static long sweep(void)
{
    struct stat tasks;
    if (!kept.view)
        return -1;
    if (call(SYS_newfstatat, (word)AT_FDCWD, (word) "/proc/self/task", (word)&tasks, 0, 0, 0) || tasks.st_nlink != 3)
        return -2; /* two, and one for each thread */
    long maps = open_file("/proc/self/maps"), pagemap = open_file("/proc/self/pagemap");
    /* A second view for now, as page tables of the first would stay. */
    long view = call(SYS_mremap, kept.view, 0, kept.size, MREMAP_MAYMOVE, 0, 0);
    long given = -3, size;
    if (!failed(maps) && !failed(pagemap) && !failed(view)) {
        char text[1024];
        struct line line = {0};
        given = 0;
        while ((size = call(SYS_read, maps, (word)text, sizeof text, 0, 0, 0)) > 0)
            for (long i = 0; i < size; i++)
                if (take(&line, text[i]) && is_ours(&line, (word)text))
                    given += compare(line.numbers[BEGIN], line.numbers[END], line.numbers[OFFSET], view, pagemap);
    }
    if (!failed(view))
        call(SYS_munmap, view, kept.size, 0, 0, 0, 0);
    if (!failed(pagemap))
        close_file(pagemap);
    if (!failed(maps))
        close_file(maps);
    return given;
}

/* ---- when */

static int is_function(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* Only the zygote has a say; who is outside of our process namespace has the number 0 in it. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    if (info->si_code == SI_USER && (info->si_pid == 0 || info->si_pid == kept.zygote)) {
        sweep();
    } else if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (is_function(&before)) {
        before.sa_handler(number);
    }
}

static PyObject *listen(PyObject *module, PyObject *nothing)
{
    struct sigaction old, ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (!kept.view)
        Py_RETURN_NONE;
    sigfillset(&ours.sa_mask);
    if (sigaction(SIGURG, NULL, &old))
        return PyErr_SetFromErrno(PyExc_OSError);
    if (!(old.sa_flags & SA_SIGINFO) || old.sa_sigaction != on_signal) {
        before = old;
        if (is_function(&before) && !(before.sa_flags & SA_RESTART))
            ours.sa_flags = SA_SIGINFO; /* Python calls its handlers when a call was interrupted */
        if (sigaction(SIGURG, &ours, NULL))
            return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyObject *give_back(PyObject *module, PyObject *nothing)
{
    uint64_t mask = block_signals();
    long given = sweep();
    unblock_signals(mask);
    return PyLong_FromLong(given);
}

/* ---- in the zygote */

struct span {
    word begin, size;
};

/* Put this memory into the file, and the file where the memory is. 0: it is as it was. */
static int move(long file, struct span span, word offset)
{
    uint64_t mask = block_signals();
    long wrote = call(SYS_pwrite64, file, span.begin, span.size, offset, 0, 0), there = -1;
    if (wrote == (long)span.size)
        there = call(SYS_mmap, span.begin, span.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, offset);
    unblock_signals(mask);
    return there == (long)span.begin;
}

/* A bit for each word of the file that is among these. NULL: no memory. */
static const uint8_t *mark(const struct span *spans, Py_ssize_t count, word size, const Py_buffer *wanted)
{
    const word *places = wanted->buf;
    Py_ssize_t many = wanted->len / sizeof(word);
    word bytes = size / sizeof(uint64_t) / 8;
    uint8_t *bits = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bits == MAP_FAILED)
        return NULL;
    word offset = 0, number;
    for (Py_ssize_t at = 0, i = 0; i < count; offset += spans[i++].size)
        for (; at < many && places[at] < spans[i].begin + spans[i].size; at++)
            if (places[at] >= spans[i].begin && places[at] % sizeof(uint64_t) == 0) {
                number = (offset + places[at] - spans[i].begin) / sizeof(uint64_t);
                bits[number / 8] |= 1 << number % 8;
            }
    return bits;
}

/* Move it all. 0, or -1 with errno. */
static int move_all(const struct span *spans, Py_ssize_t count, const Py_buffer *counts, const Py_buffer *warmups)
{
    word size = 0, offset = 0;
    struct stat about;
    char path[64];
    int file = memfd_create("perdure", MFD_CLOEXEC | MFD_ALLOW_SEALING), reading = -1, done = -1;
    for (Py_ssize_t i = 0; i < count; i++)
        size += spans[i].size;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (file < 0 || ftruncate(file, size) || fstat(file, &about))
        goto out;
    if ((reading = open(path, O_RDONLY | O_CLOEXEC)) < 0) /* so that this view can never be written through */
        goto out;
    void *view = mmap(NULL, size, PROT_READ, MAP_SHARED, reading, 0);
    kept.counts = mark(spans, count, size, counts);
    kept.warmups = mark(spans, count, size, warmups);
    if (view == MAP_FAILED || !kept.counts || !kept.warmups)
        goto out;
    for (Py_ssize_t i = 0; i < count; offset += spans[i++].size)
        if (move(file, spans[i], offset)) /* and into the page tables, which forks copy */
            madvise((void *)spans[i].begin, spans[i].size, POPULATE_READ);
    if ((done = fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) == 0) {
        kept.size = size;
        kept.inode = about.st_ino;
        kept.device = about.st_dev;
        kept.zygote = getpid();
        kept.view = (word)view;
    }
out:
    if (reading >= 0)
        close(reading);
    if (file >= 0)
        close(file);
    return done;
}

static PyObject *share(PyObject *module, PyObject *arguments)
{
    Py_buffer spans, counts, warmups;
    if (!PyArg_ParseTuple(arguments, "y*y*y*", &spans, &counts, &warmups))
        return NULL;
    if (move_all(spans.buf, spans.len / sizeof(struct span), &counts, &warmups))
        PyErr_SetFromErrno(PyExc_OSError);
    PyBuffer_Release(&spans);
    PyBuffer_Release(&counts);
    PyBuffer_Release(&warmups);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *thread_pointer(PyObject *module, PyObject *nothing)
{
    void *pointer = NULL;
#if defined(__x86_64__)
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
#elif defined(__aarch64__)
    __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
    return PyLong_FromVoidPtr(pointer);
}

static PyMethodDef functions[] = {
    {"share", share, METH_VARARGS, NULL},
    {"listen", listen, METH_NOARGS, NULL},
    {"give_back", give_back, METH_NOARGS, NULL},
    {"thread_pointer", thread_pointer, METH_NOARGS, NULL},
    {0},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_sharing", NULL, -1, functions};

PyMODINIT_FUNC PyInit__sharing(void)
{
    return PyModule_Create(&definition);
}
