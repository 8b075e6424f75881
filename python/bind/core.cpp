// altprop._core: what the Python package is made of. It holds no algorithm.
#include <pybind11/stl.h>
#include <torch/version.h>

#include "altprop/base/error.h"
#include "altprop/base/version.h"
#include "altprop/rules/registry.h"
#include "network.h"
#include "rule.h"

namespace altprop::python {

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  m.attr("version") = version();
  m.attr("torch_version") = TORCH_VERSION;

  static py::exception<Error> error(m, "Error", PyExc_RuntimeError);
  static py::exception<Diverged> diverged(m, "Diverged", error.ptr());
  static py::exception<UsageError> usage(m, "UsageError", PyExc_ValueError);
  static py::exception<Refusal> refusal(m, "Refusal", usage.ptr());
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Refusal& e) {
      py::object made = py::reinterpret_borrow<py::object>(refusal.ptr())(e.what());
      made.attr("where") = e.where;
      made.attr("why") = e.why;
      made.attr("instead") = e.instead;
      PyErr_SetObject(refusal.ptr(), made.ptr());
    } catch (const UsageError& e) {
      py::set_error(usage, e.what());
    } catch (const Diverged& e) {
      py::set_error(diverged, e.what());
    } catch (const Error& e) {
      py::set_error(error, e.what());
    }
  });

  py::class_<Network, std::shared_ptr<Network>>(m, "Network")
      .def(py::init<>())
      .def("input", &Network::input)
      .def("param", &Network::param)
      .def("add", &Network::add)
      .def("box", &Network::box)
      .def("output", &Network::output)
      .def("refresh", &Network::refresh, py::call_guard<py::gil_scoped_release>())
      .def("draws", &Network::draws)
      .def("describe", &Network::describe);

  py::class_<PythonLoss, std::shared_ptr<PythonLoss>>(m, "Loss")
      .def(py::init<py::function, py::function>())
      .def_readwrite("couples_samples", &PythonLoss::couples_samples);

  py::class_<ForwardPass, std::shared_ptr<ForwardPass>>(m, "ForwardPass")
      .def_readonly("output", &ForwardPass::output);

  py::class_<Owned>(m, "Owned")
      .def_readonly("name", &Owned::name)
      .def_readonly("value", &Owned::value)
      .def_readonly("partner", &Owned::partner)
      .def_readonly("learnt", &Owned::learnt);

  py::class_<BoundRule, std::shared_ptr<BoundRule>>(m, "BoundRule")
      .def(py::init<std::shared_ptr<Network>, const std::string&, const OptionValues&,
                    std::shared_ptr<PythonLoss>, uint64_t, bool, std::optional<py::dict>>())
      .def("forward", &BoundRule::forward)
      .def("credit", &BoundRule::credit)
      .def("credit_of_loss", &BoundRule::credit_of_loss)
      .def("owned", &BoundRule::owned)
      .def("carried", &BoundRule::carried)
      .def("passes", &BoundRule::passes)
      .def("run_pass", &BoundRule::run_pass)
      .def("after_update", &BoundRule::after_update)
      .def("weight_decay", &BoundRule::weight_decay)
      .def("warnings", &BoundRule::warnings)
      .def("follows_updates", &BoundRule::follows_updates)
      .def("steps_itself", &BoundRule::steps_itself)
      .def("alignment", &BoundRule::alignment)
      .def("take_over", &BoundRule::take_over);

  m.def("rules", [] {
    py::list out;
    for (const RuleEntry& entry : rule_entries()) {
      py::dict row;
      row["name"] = entry.name;
      row["aliases"] = entry.aliases;
      row["summary"] = entry.summary;
      row["source"] = entry.source;
      py::list options;
      Options declared;
      entry.make()->declare(declared);
      for (const Options::Entry& one : declared.entries()) {
        py::dict option;
        option["name"] = one.name;
        option["default"] = one.default_text;
        option["help"] = one.doc.help;
        options.append(option);
      }
      row["options"] = options;
      out.append(row);
    }
    return out;
  });
  m.def("needs_loss", [](const std::string& name, const OptionValues& options) {
    return make_rule(name, options)->needs_loss();
  });
  m.def("rule_name", [](const std::string& name) { return rule_entry(name).name; });
  m.def("rule_option_name", &rule_option_name);
}

}  // namespace altprop::python
