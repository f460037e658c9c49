/* Callees that have been judged internal, and how to tell that a call is covered by such a judgement. */
#ifndef PERDURE_SITES_CALLEE_H
#define PERDURE_SITES_CALLEE_H

#include "_sites.h"

/* By what a callable is known. */
enum callee_kind {
    CODE,     /* a function without attributes: by its code */
    BOUND,    /* a bound method of such a function: by its code */
    THING,    /* a function with attributes, or what else lasts: by address; kept alive */
    CLASS,    /* a class: by address and version */
    OBJECT,   /* an instance of a class that can change: by that class's address and version */
    C_METHOD, /* a bound method of C's: by the C method, and its receiver's class's address and version */
};

typedef struct {
    void *pointer;
    enum callee_kind kind;
} Key;

typedef struct {
    Key key;
    PyObject *kept;           /* what the key points to (CODE, BOUND, THING) */
    PyFunctionObject *marked; /* of THING: the function on which a mark would end it; NULL: nothing can */
    PyTypeObject *type;       /* of CLASS, OBJECT and C_METHOD: borrowed, known to live if its version is right */
    unsigned int version;
} Callee;

typedef struct { /* as CPython's own, which no header shows */
    PyObject_HEAD
    PyWrapperDescrObject *descr;
    PyObject *self;
} MethodWrapper;

static inline bool
has_attributes(PyFunctionObject *f)
{
    return f->func_dict != NULL && PyDict_GET_SIZE(f->func_dict) != 0;
}

static inline Key
key_of(PyObject *f)
{
    PyTypeObject *type = Py_TYPE(f);
    if (type == &PyFunction_Type) {
        PyFunctionObject *function = (PyFunctionObject *)f;
        if (!has_attributes(function)) {
            return (Key){function->func_code, CODE};
        }
    } else if (type == &PyCFunction_Type) {
        PyObject *self = PyCFunction_GET_SELF(f);
        if (self != NULL && !PyModule_CheckExact(self)) {
            return (Key){((PyCFunctionObject *)f)->m_ml, C_METHOD};
        }
    } else if (type == &PyMethod_Type) {
        PyFunctionObject *function = (PyFunctionObject *)PyMethod_GET_FUNCTION(f);
        if (Py_IS_TYPE(function, &PyFunction_Type) && !has_attributes(function)) {
            return (Key){function->func_code, BOUND};
        }
    } else if (type == method_wrapper_type) {
        return (Key){((MethodWrapper *)f)->descr, C_METHOD};
    } else if (PyType_Check(f)) {
        return (Key){f, CLASS};
    } else if (!(type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)) {
        return (Key){type, OBJECT};
    }
    return (Key){f, THING};
}

/* The class whose version a callable with this key goes by; NULL if by none. */
static inline PyTypeObject *
type_of(PyObject *f, Key key)
{
    switch (key.kind) {
    case CLASS:
    case OBJECT:
        return key.pointer;
    case C_METHOD:
        return Py_TYPE(Py_IS_TYPE(f, &PyCFunction_Type) ? PyCFunction_GET_SELF(f) : ((MethodWrapper *)f)->self);
    default:
        return NULL;
    }
}

static inline bool
is_same(Key a, Key b)
{
    return a.pointer == b.pointer && a.kind == b.kind;
}

/* Whether `f`, whose key this is, is what was judged, and unchanged. Runs nothing of the program's. */
static inline bool
covers(const Callee *callee, Key key, PyObject *f)
{
    if (!is_same(callee->key, key)) {
        return false;
    }
    if (key.kind == CODE || key.kind == BOUND) {
        return true;
    }
    if (key.kind == THING) {
        PyFunctionObject *marked = callee->marked;
        return marked == NULL || marked->func_dict == NULL || !may_have(marked->func_dict, mark_name);
    }
    PyTypeObject *type = type_of(f, key);
    return type == callee->type && type->tp_version_tag == callee->version;
}

/* Note a judgement on `f`, internal until `marked` (a function, or NULL) is marked. False if it cannot be told later. */
static inline bool
note(Callee *callee, PyObject *f, PyObject *marked)
{
    Key key = key_of(f);
    PyTypeObject *type = type_of(f, key);
    *callee = (Callee){.key = key, .type = type};
    if (type != NULL) {
        return (callee->version = version_of(type)) != 0;
    }
    callee->kept = Py_NewRef(key.kind == THING ? f : key.pointer);
    callee->marked = key.kind == THING ? (PyFunctionObject *)Py_XNewRef(marked) : NULL;
    return true;
}

static inline void
forget(Callee *callee)
{
    Py_CLEAR(callee->kept);
    Py_CLEAR(callee->marked);
}

static inline int
visit_callee(Callee *callee, visitproc visit, void *arg)
{
    Py_VISIT(callee->kept);
    Py_VISIT(callee->marked);
    return 0;
}

#endif
