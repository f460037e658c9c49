/* perdure_runner.child.patching._sites: the fast paths of call sites. See sites.py, which decides; _sites.h says what holds. */
#include "_sites.h"

PyObject *mark_name;
PyTypeObject *method_wrapper_type;

extern PyTypeObject Prepared_Type;
int ready_call_guard(void);
int ready_method_guard(void);

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_sites",
    .m_doc = "Guards that know internal calls; policy in Python decides about the others.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__sites(void)
{
    PyObject *wrapper = PyObject_GetAttrString(Py_None, "__repr__");
    if (wrapper == NULL) {
        return NULL;
    }
    method_wrapper_type = Py_TYPE(wrapper); /* of C's: it does not go with the one instance */
    Py_DECREF(wrapper);
    mark_name = PyUnicode_InternFromString(MARK);
    if (mark_name == NULL || PyObject_Hash(mark_name) == -1 || ready_call_guard() < 0 || ready_method_guard() < 0 ||
        PyType_Ready(&Prepared_Type) < 0) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || PyModule_AddObjectRef(module, "CallGuard", (PyObject *)&CallGuard_Type) < 0 ||
        PyModule_AddObjectRef(module, "MethodGuard", (PyObject *)&MethodGuard_Type) < 0 ||
        PyModule_AddObjectRef(module, "Prepared", (PyObject *)&Prepared_Type) < 0 ||
        PyModule_AddObjectRef(module, "MARK", mark_name) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
