/* CallGuard: the fast path of the site of `f(a)`. */
#include "_sites_callee.h"

typedef struct {
    PyObject_HEAD
    void *code; /* of the first functions that were judged, which are mostly the only ones; kept by its callee */
    int count;
    Callee *callees;
} CallGuard;

static PyObject *decide_name; /* "_decide" */

/* What to call for `f`: itself if it is known to be internal, else what `self._decide(f)` returns. */
static PyObject *
call(CallGuard *self, PyObject *f)
{
    if (Py_IS_TYPE(f, &PyFunction_Type)) {
        PyFunctionObject *function = (PyFunctionObject *)f;
        if (function->func_code == self->code && !has_attributes(function)) {
            return Py_NewRef(f);
        }
    }
    Key key = key_of(f);
    for (const Callee *callee = self->callees, *end = callee + self->count; callee != end; callee++) {
        if (covers(callee, key, f)) {
            return Py_NewRef(f);
        }
    }
    PyThreadState *thread = PyThreadState_Get();
    PyThreadState_EnterTracing(thread); /* what decides is no part of the program */
    PyObject *chosen = PyObject_CallMethodOneArg((PyObject *)self, decide_name, f);
    PyThreadState_LeaveTracing(thread);
    return chosen;
}

static int
clear(CallGuard *self)
{
    Callee *callees = self->callees;
    int count = self->count;
    self->callees = NULL; /* before anything is let go: that may run code, and the code this site */
    self->code = NULL;
    self->count = 0;
    for (int i = 0; i < count; i++) {
        forget(&callees[i]);
    }
    PyMem_Free(callees);
    return 0;
}

static PyObject *
remember(CallGuard *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || (args[1] != Py_None && !PyFunction_Check(args[1]))) {
        PyErr_SetString(PyExc_TypeError, "remember(f, marked) takes a callable, and a function or None");
        return NULL;
    }
    Callee callee;
    if (!note(&callee, args[0], args[1] == Py_None ? NULL : args[1])) {
        Py_RETURN_NONE;
    }
    for (int i = 0; i < self->count; i++) {
        if (is_same(self->callees[i].key, callee.key) && self->callees[i].type == callee.type) {
            Callee old = self->callees[i];
            self->callees[i] = callee;
            forget(&old);
            Py_RETURN_NONE;
        }
    }
    if (self->count == LIMIT) {
        clear(self);
    }
    int at = grow((void **)&self->callees, self->count, sizeof(Callee));
    if (at < 0) {
        forget(&callee);
        return NULL;
    }
    self->callees[at] = callee;
    self->count++;
    if (self->code == NULL && callee.key.kind == CODE) {
        self->code = callee.key.pointer;
    }
    Py_RETURN_NONE;
}

static int
traverse(CallGuard *self, visitproc visit, void *arg)
{
    for (int i = 0; i < self->count; i++) {
        int stop = visit_callee(&self->callees[i], visit, arg);
        if (stop) {
            return stop;
        }
    }
    return 0;
}

static void
dealloc(CallGuard *self)
{
    PyObject_GC_UnTrack(self);
    clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef methods[] = {
    {"call", (PyCFunction)call, METH_O, "What to call for a callee."},
    {"remember", (PyCFunction)(void (*)(void))remember, METH_FASTCALL,
     "remember(f, marked): calls of `f` are internal until the function `marked` has a mark (None: until it changes)."},
    {NULL},
};

PyTypeObject CallGuard_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "perdure_runner.child.patching._sites.CallGuard",
    .tp_doc = "Knows internal callees; asks self._decide(f) about others.",
    .tp_basicsize = sizeof(CallGuard),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)dealloc,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_methods = methods,
};

int
ready_call_guard(void)
{
    decide_name = PyUnicode_InternFromString("_decide");
    return decide_name == NULL ? -1 : PyType_Ready(&CallGuard_Type);
}
