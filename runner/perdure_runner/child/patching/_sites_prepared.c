/* Prepared: a call that Python prepares and C makes, so that no frame of ours stands between caller and callee. */
#include "_sites.h"

typedef struct {
    PyObject_HEAD
    PyObject *prepare; /* called with the arguments; returns what to call instead, its arguments, its keywords */
} Prepared;

static PyObject *
call(Prepared *self, PyObject *args, PyObject *kwargs)
{
    PyThreadState *thread = PyThreadState_Get();
    PyThreadState_EnterTracing(thread); /* what prepares is no part of the program */
    PyObject *instead = PyObject_Call(self->prepare, args, kwargs);
    PyThreadState_LeaveTracing(thread);
    if (instead == NULL) {
        return NULL;
    }
    PyObject *f, *its_args, *its_kwargs, *result = NULL;
    if (PyArg_ParseTuple(instead, "OO!O!", &f, &PyTuple_Type, &its_args, &PyDict_Type, &its_kwargs)) {
        result = PyObject_Call(f, its_args, its_kwargs);
    }
    Py_DECREF(instead);
    return result;
}

static PyObject *
make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *prepare;
    if ((kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) || !PyArg_ParseTuple(args, "O:Prepared", &prepare)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "Prepared() takes no keyword arguments");
    }
    Prepared *self = (Prepared *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->prepare = Py_NewRef(prepare);
    }
    return (PyObject *)self;
}

static int
clear(Prepared *self)
{
    Py_CLEAR(self->prepare);
    return 0;
}

static int
traverse(Prepared *self, visitproc visit, void *arg)
{
    Py_VISIT(self->prepare);
    return 0;
}

static void
dealloc(Prepared *self)
{
    PyObject_GC_UnTrack(self);
    clear(self);
    Py_TYPE(self)->tp_free(self);
}

PyTypeObject Prepared_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "perdure_runner.child.patching._sites.Prepared",
    .tp_doc = "Prepared(prepare): called with some arguments, calls what prepare(*args, **kwargs) says instead.",
    .tp_basicsize = sizeof(Prepared),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = make,
    .tp_call = (ternaryfunc)call,
    .tp_clear = (inquiry)clear,
    .tp_traverse = (traverseproc)traverse,
    .tp_dealloc = (destructor)dealloc,
};
