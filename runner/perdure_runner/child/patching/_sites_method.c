/* MethodGuard: the fast path of the site of `o.m(a)`. */
#include "_sites_callee.h"

/* How to tell that `o.m` is what was judged. */
enum way {
    OF_TYPE,  /* found in the class of `o`, or in `o`, a class: its version, and that no instance attribute hides it */
    OF_MODULE, /* looked up in the module's dict, and compared */
    FETCHED,  /* fetched as the interpreter will, and compared */
};

typedef struct {
    PyTypeObject *subject; /* the class of `o`, or `o` itself, a class: borrowed, lives if its version is right */
    unsigned int version;
    unsigned char way;
    bool of_class;    /* `o` is a class */
    bool is_wrapped;  /* `found` is a staticmethod or classmethod */
    bool has_callee;  /* false: it comes from a type of C's, and nothing else can end it */
    bool can_be_hidden;
    bool is_function; /* `found` is a function */
    PyObject *found;  /* OF_TYPE: what the class has; borrowed, the class has it as long as its version is right */
    Callee callee;
    Py_ssize_t index; /* where the name is in the keys that instances share, or in the module's dict; -1: nowhere */
    Py_ssize_t keys;  /* of shared keys, as many were looked at */
} Entry;

typedef struct {
    PyObject_HEAD
    PyObject *name;
    int count;
    Entry *entries;
} MethodGuard;

typedef struct { /* staticmethod and classmethod, as CPython has them */
    PyObject_HEAD
    PyObject *callable;
} Wrapped;

static PyObject *decide_name, *raising_name;
static PyObject *plain_getattribute; /* object.__getattribute__ */

/* ---------------------------------------------------------------- attributes of instances */

/* Where a name is among the keys that instances of a class share; -1 if nowhere. Keys are only ever added. */
static inline Py_ssize_t
index_of_key(Entry *entry, PyDictKeysObject *keys, PyObject *name)
{
    if (entry->keys != keys->dk_nentries) {
        entry->index = -1;
        PyDictUnicodeEntry *each = DK_UNICODE_ENTRIES(keys);
        for (Py_ssize_t i = 0; i < keys->dk_nentries; i++) {
            PyObject *key = each[i].me_key;
            if (key == name || (key != NULL && PyUnicode_Compare(key, name) == 0)) {
                entry->index = i;
            }
        }
        entry->keys = keys->dk_nentries;
    }
    return entry->index;
}

/* Whether the instance may have an attribute of its own of this name. */
static inline bool
is_hidden(Entry *entry, PyObject *o, PyObject *name)
{
    PyTypeObject *type = Py_TYPE(o);
    PyObject *dict = NULL;
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        PyDictValues *values = own_values(o, &dict);
        if (values != NULL) {
            Py_ssize_t index = index_of_key(entry, ((PyHeapTypeObject *)type)->ht_cached_keys, name);
            return index >= 0 && values->values[index] != NULL;
        }
    } else {
        PyObject **place = _PyObject_GetDictPtr(o);
        dict = place == NULL ? NULL : *place;
    }
    return dict != NULL && may_have(dict, name);
}

/* ---------------------------------------------------------------- the fast path */

static inline bool
is_covered(Entry *entry, PyObject *f)
{
    return covers(&entry->callee, key_of(f), f);
}

/* What will be called, of OF_TYPE. */
static inline PyObject *
callable_of(const Entry *entry)
{
    return entry->is_wrapped ? ((Wrapped *)entry->found)->callable : entry->found;
}

static inline bool
holds(Entry *entry, PyObject *o, PyObject *name)
{
    if (entry->way == OF_TYPE) {
        if (entry->is_function) { /* mostly, and mostly without attributes */
            PyFunctionObject *f = (PyFunctionObject *)entry->found;
            if ((has_attributes(f) || entry->callee.key.pointer != f->func_code) && !is_covered(entry, entry->found)) {
                return false;
            }
        } else if (entry->has_callee && !is_covered(entry, callable_of(entry))) {
            return false;
        }
        return !(entry->can_be_hidden && is_hidden(entry, o, name));
    }
    if (entry->way == OF_MODULE) {
        PyObject *dict = _PyModule_GetDict(o);
        PyObject *f = is_quiet(dict) ? look_up_again(dict, name, &entry->index) : NULL;
        return f != NULL && is_covered(entry, f);
    }
    return false;
}

/* The entries of an object are those of its class, and of a class its own. */
static inline bool
is_of(const Entry *entry, PyTypeObject *subject, bool of_class)
{
    return entry->subject == subject && entry->version == subject->tp_version_tag && entry->of_class == of_class;
}

static bool
is_known_when_fetched(MethodGuard *self, PyObject *o, PyObject *m)
{
    bool of_class = PyType_Check(o);
    PyTypeObject *subject = of_class ? (PyTypeObject *)o : Py_TYPE(o);
    PyObject *f = Py_IS_TYPE(m, &PyMethod_Type) ? PyMethod_GET_FUNCTION(m) : m;
    for (Entry *entry = self->entries, *end = entry + self->count; entry != end; entry++) {
        if (entry->way == FETCHED && is_of(entry, subject, of_class) && is_covered(entry, f)) {
            return true;
        }
    }
    return false;
}

/* An object whose attribute `self.name` is what to call. */
static PyObject *
decide(MethodGuard *self, PyObject *o, PyObject *m)
{
    PyObject *args[] = {(PyObject *)self, o, (PyObject *)Py_TYPE(o), m};
    PyObject *error = NULL, *name = decide_name;
    size_t count = 4;
    if (m == NULL) {
        args[1] = error = take_exception();
        name = raising_name;
        count = 2;
    }
    PyThreadState *thread = PyThreadState_Get();
    PyThreadState_EnterTracing(thread); /* what decides is no part of the program */
    PyObject *chosen = PyObject_VectorcallMethod(name, args, count, NULL);
    PyThreadState_LeaveTracing(thread);
    Py_XDECREF(error);
    return chosen;
}

static PyObject *
method(MethodGuard *self, PyObject *o)
{
    bool of_class = PyType_Check(o);
    PyTypeObject *subject = of_class ? (PyTypeObject *)o : Py_TYPE(o);
    for (Entry *entry = self->entries, *end = entry + self->count; entry != end; entry++) {
        if (is_of(entry, subject, of_class) && holds(entry, o, self->name)) {
            return Py_NewRef(o);
        }
    }
    if (self->name == NULL) {
        PyErr_SetString(PyExc_TypeError, "the guard has no name");
        return NULL;
    }
    PyObject *m = PyObject_GetAttr(o, self->name);
    if (m != NULL && is_known_when_fetched(self, o, m)) {
        Py_DECREF(m);
        return Py_NewRef(o);
    }
    PyObject *chosen = decide(self, o, m);
    Py_XDECREF(m);
    return chosen;
}

/* ---------------------------------------------------------------- learning */

static int
clear_entries(MethodGuard *self)
{
    Entry *entries = self->entries;
    int count = self->count;
    self->entries = NULL; /* before anything is let go: that may run code, and the code this site */
    self->count = 0;
    for (int i = 0; i < count; i++) {
        forget(&entries[i].callee);
    }
    PyMem_Free(entries);
    return 0;
}

/* Whether attributes of instances are looked up by C code that is known here. */
static bool
looks_up_plainly(PyTypeObject *type)
{
    static PyObject *name;
    if (type->tp_getattro == PyObject_GenericGetAttr) {
        return true;
    }
    if (name == NULL && (name = PyUnicode_InternFromString("__getattribute__")) == NULL) {
        PyErr_Clear();
        return false;
    }
    return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) && _PyType_Lookup(type, name) == plain_getattribute;
}

static enum way
way_of(PyObject *o, PyObject *found)
{
    PyTypeObject *type = Py_TYPE(o);
    if (type == &PyModule_Type) {
        return OF_MODULE;
    }
    if (found == Py_None || type == &PySuper_Type || (PyType_Check(o) && type != &PyType_Type)) {
        return FETCHED;
    }
    bool is_plain = type->tp_dictoffset == 0 && (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0;
    return type == &PyType_Type || is_plain || looks_up_plainly(type) ? OF_TYPE : FETCHED;
}

static bool
is_same_entry(const Entry *a, const Entry *b)
{
    return a->subject == b->subject && a->of_class == b->of_class && a->way == b->way &&
           (a->way == OF_TYPE || (is_same(a->callee.key, b->callee.key) && a->callee.type == b->callee.type));
}

static int
add(MethodGuard *self, Entry *entry)
{
    for (int i = 0; i < self->count; i++) {
        if (is_same_entry(&self->entries[i], entry)) {
            Callee old = self->entries[i].callee;
            self->entries[i] = *entry;
            forget(&old);
            return 0;
        }
    }
    if (self->count == LIMIT) {
        clear_entries(self);
    }
    int at = grow((void **)&self->entries, self->count, sizeof(Entry));
    if (at < 0) {
        forget(&entry->callee);
        return -1;
    }
    self->entries[at] = *entry;
    self->count++;
    return 0;
}

static PyObject *
remember(MethodGuard *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 4 || (args[3] != Py_None && !PyFunction_Check(args[3]))) {
        PyErr_SetString(PyExc_TypeError, "remember(o, found, f, marked) takes three objects, and a function or None");
        return NULL;
    }
    PyObject *o = args[0], *found = args[1], *f = args[2], *marked = args[3] == Py_None ? NULL : args[3];
    bool of_class = PyType_Check(o);
    PyTypeObject *subject = of_class ? (PyTypeObject *)o : Py_TYPE(o);
    Entry entry = {
        .subject = subject,
        .version = version_of(subject),
        .way = way_of(o, found),
        .of_class = of_class,
        .is_wrapped = Py_IS_TYPE(found, &PyStaticMethod_Type) || Py_IS_TYPE(found, &PyClassMethod_Type),
        .has_callee = f != Py_None,
        .is_function = f != Py_None && Py_IS_TYPE(found, &PyFunction_Type),
        .can_be_hidden = !of_class && (Py_TYPE(o)->tp_dictoffset != 0 ||
                                       (Py_TYPE(o)->tp_flags & Py_TPFLAGS_MANAGED_DICT) != 0),
        .found = found,
        .keys = -1,
        .index = -1,
    };
    if (entry.version == 0 || (!entry.has_callee && entry.way != OF_TYPE)) {
        Py_RETURN_NONE;
    }
    if (entry.has_callee && !note(&entry.callee, f, marked)) {
        Py_RETURN_NONE;
    }
    if (entry.way == OF_TYPE && entry.has_callee && !is_covered(&entry, callable_of(&entry))) {
        entry.way = FETCHED; /* the instance has one of its own */
    }
    if (add(self, &entry) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- the type */

static int
init(MethodGuard *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *name;
    if (!PyArg_ParseTuple(args, "U:MethodGuard", &name) || PyObject_Hash(name) == -1) {
        return -1;
    }
    clear_entries(self);
    Py_INCREF(name);
    PyUnicode_InternInPlace(&name);
    Py_XSETREF(self->name, name);
    return 0;
}

static int
traverse(MethodGuard *self, visitproc visit, void *arg)
{
    for (int i = 0; i < self->count; i++) {
        int stop = visit_callee(&self->entries[i].callee, visit, arg);
        if (stop) {
            return stop;
        }
    }
    return 0;
}

static void
dealloc(MethodGuard *self)
{
    PyObject_GC_UnTrack(self);
    clear_entries(self);
    Py_CLEAR(self->name);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef methods[] = {
    {"method", (PyCFunction)method, METH_O, "An object that has the method to call for this receiver."},
    {"remember", (PyCFunction)(void (*)(void))remember, METH_FASTCALL,
     "remember(o, found, f, marked): the method `f` of `o` is internal, and fetching it runs no user code.\n\n"
     "found: what o's class (o itself, a class) has under the name; None: it is the instance's own.\n"
     "f: what is called (of a bound method, its function); None: a method of C's.\n"
     "marked: the function whose mark would end it; None: it has no attributes, or cannot be marked."},
    {NULL},
};

PyTypeObject MethodGuard_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "perdure_runner.child.patching._sites.MethodGuard",
    .tp_doc = "Knows internal methods of its name; asks self._decide(o, type(o), o.m) about others.",
    .tp_basicsize = sizeof(MethodGuard),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)init,
    .tp_dealloc = (destructor)dealloc,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear_entries,
    .tp_methods = methods,
};

int
ready_method_guard(void)
{
    decide_name = PyUnicode_InternFromString("_decide");
    raising_name = PyUnicode_InternFromString("_raising");
    plain_getattribute = PyObject_GetAttrString((PyObject *)&PyBaseObject_Type, "__getattribute__");
    if (decide_name == NULL || raising_name == NULL || plain_getattribute == NULL) {
        return -1;
    }
    return PyType_Ready(&MethodGuard_Type);
}
