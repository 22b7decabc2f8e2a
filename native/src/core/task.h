// What all tasks have in common.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "fp8/job.h"

namespace fp8 {

inline std::uint32_t task_id(const Task& task) {
  return std::visit([](const auto& value) { return value.id; }, task);
}

inline const std::string& task_name(const Task& task) {
  return std::visit([](const auto& value) -> const std::string& { return value.name; }, task);
}

}  // namespace fp8
