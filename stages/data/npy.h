// npy: reads and writes .npy, NumPy's file of one array.
//
// Reading maps the file: its pages come and go with the page cache and never become the process's own memory.
// Whatever the header says is checked against the file, so a broken or hostile file is refused and costs no
// memory. What is not refused: a file that somebody cuts off while it is mapped ends the process (SIGBUS).
//
// Source: numpy/lib/format.py, format versions 1.0 to 3.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace stages {

/// An array in a file, mapped read-only; any thread may read. All errors are graph::Error, one line that names the
/// file, what is wrong, what was expected and, where it helps, what to do.
class NpyFile {
 public:
  /// Maps the file. Refused: what is no regular file, no .npy file, cut off or too long; Fortran order, big-endian
  /// numbers, Python objects and structures; arrays without an item.
  explicit NpyFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  const std::string& dtype() const { return dtype_; }  // as NumPy writes it: "|u1", "<i8", "<f4" …
  const std::vector<std::int64_t>& shape() const { return shape_; }
  /// The numbers, one behind the other, the last dimension fastest. They need not be aligned.
  const std::byte* data() const { return data_; }

  [[noreturn]] void fail(const std::string& what) const;
  /// Throws unless the array has this many dimensions; `expected` is their names: "[N,H,W,C]".
  void require_dimensions(std::size_t count, const char* expected) const;
  /// Throws unless the numbers are integers, of any width.
  void require_integers() const;

  /// Number `i` of an array of integers.
  std::int64_t integer(std::int64_t i) const;

  /// Says that reading will jump about: what lies behind a page is then not read with it.
  void expect_jumps() const;
  /// Begins to read these bytes of the data from disk, without waiting for them.
  void fetch(std::int64_t offset, std::int64_t bytes) const;
  /// Takes what was read out of the process's memory, where it would count as its own; the page cache keeps it.
  void drop() const;

 private:
  struct Mapping {
    Mapping() = default;
    ~Mapping();
    Mapping(const Mapping&) = delete;
    std::byte* begin = nullptr;
    std::size_t size = 0;
  };

  void map();
  void read_header();

  std::filesystem::path path_;
  Mapping file_;
  std::string dtype_;
  std::vector<std::int64_t> shape_;
  const std::byte* data_ = nullptr;
};

/// An array that grows in a file. Until publish() it lies under PATH.part, which goes with the object; one left by
/// a kill is garbage and is overwritten. All errors are graph::Error with one line.
class NpyWriter {
 public:
  /// Opens PATH.part. Throws when it cannot, or when another process is writing it.
  NpyWriter(std::filesystem::path path, std::string dtype);
  ~NpyWriter();
  NpyWriter(const NpyWriter&) = delete;

  void append(const void* numbers, std::size_t bytes);
  /// Writes the header, and waits until all is on disk. `shape` is that of all that was appended.
  void flush(const std::vector<std::int64_t>& shape);
  /// Gives the file its name, after flush().
  void publish();

 private:
  [[noreturn]] void fail(const char* what) const;
  void write(const void* from, std::size_t bytes) const;

  std::filesystem::path path_, part_;
  std::string dtype_;
  int descriptor_ = -1;
  std::size_t appended_ = 0;
  bool published_ = false;
};

/// Waits until the names in a folder are on disk, as publish() gave them.
void flush_folder(const std::filesystem::path& folder);

}  // namespace stages
