/* What the guards need to know of CPython 3.12's insides. */
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

/* The values of an instance that has no dict yet, in the order of its class's shared keys; else NULL and the dict. */
static inline PyDictValues *
own_values(PyObject *o, PyObject **dict)
{
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(o);
    if (_PyDictOrValues_IsValues(either)) {
        return _PyDictOrValues_GetValues(either);
    }
    *dict = _PyDictOrValues_GetDict(either);
    return NULL;
}

/* The exception that is set, and no longer is. */
static inline PyObject *
take_exception(void)
{
    return PyErr_GetRaisedException();
}

#endif
