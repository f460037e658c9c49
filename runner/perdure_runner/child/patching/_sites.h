/* What the parts of `_sites` share: attributes looked up without running anything, callees, the guards' types.
 *
 * A guard remembers judgements of policy code in Python: each says "this is internal for as long as ...", and the
 * fast paths check just that, every time. They run no code of the program's: where to look could run some (a dict
 * whose keys are no plain strings), they take the slow path, which asks Python.
 *
 * What is remembered keeps no instance, closure or class alive. Classes are known by address and version: versions are
 * unique in the process, so another class at the address of one that went has another.
 */
#ifndef PERDURE_SITES_H
#define PERDURE_SITES_H

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE_MODULE 1
#include <Python.h>
#include <stdbool.h>

#if defined(Py_GIL_DISABLED)
#error "the guards rely on the global interpreter lock"
#elif PY_VERSION_HEX >> 16 == 0x030B
#include "_sites_py311.h"
#elif PY_VERSION_HEX >> 16 == 0x030C
#include "_sites_py312.h"
#elif PY_VERSION_HEX >> 16 == 0x030D
#include "_sites_py313.h"
#else
#error "the guards have not been ported to this version of CPython"
#endif

#define MARK "__perdure_activity__" /* as in policy.py */
#define LIMIT 32                    /* what a guard remembers at most; more than that, and it begins anew */

extern PyTypeObject CallGuard_Type, MethodGuard_Type;
extern PyObject *mark_name; /* MARK, interned */
extern PyTypeObject *method_wrapper_type;

/* ---------------------------------------------------------------- dicts */

/* Whether looking a string up in this dict runs nothing of the program's: only strings are in it. */
static inline bool
is_quiet(PyObject *dict)
{
    return DK_IS_UNICODE(((PyDictObject *)dict)->ma_keys);
}

/* What a quiet dict has under a string whose hash is known: borrowed, or NULL. */
static inline PyObject *
look_up(PyObject *dict, PyObject *name)
{
    return _PyDict_GetItem_KnownHash(dict, name, ((PyASCIIObject *)name)->hash);
}

/* The same, faster: looking first at the place where it was found when `*where` was -1. */
static inline PyObject *
look_up_again(PyObject *dict, PyObject *name, Py_ssize_t *where)
{
    PyDictKeysObject *keys = ((PyDictObject *)dict)->ma_keys;
    if (((PyDictObject *)dict)->ma_values != NULL) {
        return look_up(dict, name);
    }
    PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);
    if (*where == -1) {
        *where = PY_SSIZE_T_MAX;
        for (Py_ssize_t i = 0; i < keys->dk_nentries; i++) {
            if (entries[i].me_key == name) {
                *where = i;
            }
        }
    }
    if (*where < keys->dk_nentries && entries[*where].me_key == name) {
        return entries[*where].me_value;
    }
    return look_up(dict, name);
}

/* Whether a dict may have the name. */
static inline bool
may_have(PyObject *dict, PyObject *name)
{
    return PyDict_GET_SIZE(dict) != 0 && (!is_quiet(dict) || look_up(dict, name) != NULL);
}

/* ---------------------------------------------------------------- growing arrays */

/* Room for one more element of this size in `*array`: its index, or -1 with MemoryError. Capacities are powers of 2. */
static inline int
grow(void **array, int count, size_t size)
{
    if ((count & (count - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        void *larger = PyMem_Realloc(*array, size * (count ? 2 * (size_t)count : 1));
        if (larger == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        *array = larger;
    }
    return count;
}

#endif
