/* What the guards need to know of CPython 3.13's insides (the build with a global interpreter lock). */
#ifndef PERDURE_SITES_VERSION_H
#define PERDURE_SITES_VERSION_H

#include "internal/pycore_dict.h"
#include "internal/pycore_moduleobject.h"
#include "internal/pycore_object.h"

/* The number that is this class's alone for as long as neither it nor a base changes; 0 if it gets none. */
static inline unsigned int
version_of(PyTypeObject *type)
{
    return PyUnstable_Type_AssignVersionTag(type) ? type->tp_version_tag : 0;
}

/* The values inside an instance, in the order of its class's shared keys; else NULL and the dict. A dict may share
 * the values; once it no longer does they are not valid. */
static inline PyDictValues *
own_values(PyObject *o, PyObject **dict)
{
    if (Py_TYPE(o)->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
        PyDictValues *values = _PyObject_InlineValues(o);
        if (values->valid) {
            return values;
        }
    }
    *dict = (PyObject *)_PyObject_GetManagedDict(o);
    return NULL;
}

/* The exception that is set, and no longer is. */
static inline PyObject *
take_exception(void)
{
    return PyErr_GetRaisedException();
}

#endif
