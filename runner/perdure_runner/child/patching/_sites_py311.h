/* What the guards need to know of CPython 3.11's insides. */
#ifndef PERDURE_SITES_VERSION_H
#define PERDURE_SITES_VERSION_H

#include "internal/pycore_dict.h"
#include "internal/pycore_moduleobject.h"
#include "internal/pycore_object.h"

/* The number that is this class's alone for as long as neither it nor a base changes; 0 if it gets none. */
static inline unsigned int
version_of(PyTypeObject *type)
{
    static PyObject *name; /* to look up whatever attribute gives the class a version */
    if (name == NULL && (name = PyUnicode_InternFromString("__call__")) == NULL) {
        PyErr_Clear();
        return 0;
    }
    _PyType_Lookup(type, name);
    return type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG ? type->tp_version_tag : 0;
}

/* The values of an instance that has no dict yet, in the order of its class's shared keys; else NULL and the dict. */
static inline PyDictValues *
own_values(PyObject *o, PyObject **dict)
{
    *dict = *_PyObject_ManagedDictPointer(o);
    return *_PyObject_ValuesPointer(o);
}

/* The exception that is set, and no longer is. */
static inline PyObject *
take_exception(void)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
}

#endif
