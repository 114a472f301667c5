#include "cli/inspect_report.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "analysis/selection_overlap.h"
#include "cli/number_text.h"
#include "report/heat_strip.h"
#include "report/shaded_text.h"

namespace lighthouse::cli {
namespace {

using analysis::LayerSelection;
using report::Table;

constexpr size_t kListedSpans = 6;  // listed per layer and over all layers

std::string percent(double share) { return number("%.1f%%", 100 * share); }

int64_t length(const TokenRange& range) { return range.end - range.begin; }

/// The span with a few bytes around it; the middle of a long one is left out.
report::Passage in_surroundings(const std::string& text, const TokenRange& span, bool utf8) {
  constexpr int64_t kAround = 16;
  constexpr int64_t kLongest = 36;
  const auto part = [&](int64_t begin, int64_t end) {
    begin = std::max<int64_t>(begin, 0);
    end = std::min(end, static_cast<int64_t>(text.size()));
    return report::escape_bytes(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), utf8);
  };
  std::string inside = part(span.begin, span.end);
  if (length(span) > kLongest) {
    inside = part(span.begin, span.begin + kLongest / 2) + (utf8 ? " … " : " ... ") +
             part(span.end - kLongest / 2, span.end);
  }
  return {part(span.begin - kAround, span.begin), inside, part(span.end, span.end + kAround), {}};
}

/// For a terminal: marks in place of shading.
Table passage_table(const std::vector<report::Passage>& passages, bool utf8) {
  Table table{{"text"}, {}};
  table.header.insert(table.header.end(), kPassageFigures.begin(), kPassageFigures.end());
  for (const auto& passage : passages) {
    table.rows.push_back({passage.before + (utf8 ? "▸" : ">>") + passage.inside + (utf8 ? "◂" : "<<") + passage.after});
    table.rows.back().insert(table.rows.back().end(), passage.figures.begin(), passage.figures.end());
  }
  return table;
}

/// Strips of a layer's heads with the byte offsets of their ends below.
void print_strips(std::ostream& out, const Inspection& inspection, const LayerSelection& layer, int64_t width,
                  bool utf8) {
  constexpr int64_t kMargin = 10;  // "head 12 |" and the bar at the end
  const auto columns = static_cast<size_t>(std::max<int64_t>(width - kMargin, 20));
  const int64_t num_levels = inspection.map.geometry.num_levels();
  for (size_t head = 0; head < layer.heads.size(); ++head) {
    const auto values = analysis::fineness(layer.heads[head], num_levels);
    char label[32];
    std::snprintf(label, sizeof(label), "head %-3zu|", head);
    out << label << report::to_text_strip(values, columns, utf8) << "|\n";
  }
  const std::string first = std::to_string(inspection.offset);
  const std::string last = std::to_string(inspection.offset + static_cast<int64_t>(inspection.text.size()));
  const size_t used = std::min(columns, inspection.text.size());
  const size_t gap = used > first.size() + last.size() ? used - first.size() - last.size() : 1;
  out << std::string(kMargin - 1, ' ') << first << std::string(gap, ' ') << last << "\n";
}

std::string rule_name(const analysis::SelectionMap& map) {
  if (map.geometry.num_levels() == 1) return "one level, dense attention: all is kept";
  if (map.options.causal_selection) return "locally causal selection";
  return std::string("the paper's selection") + (map.options.cover_prefix ? "" : " without the prefix rule");
}

std::string overlap_line(const LayerSelection& layer, double expected) {
  if (layer.heads.size() < 2) return "one key/value head: no overlap to measure\n";
  const auto overlap = analysis::overlap_of_heads(layer);
  return "overlap between heads: mean " + number("%.3f", overlap.mean) + ", min " + number("%.3f", overlap.min) +
         ", max " + number("%.3f", overlap.max) + "; of random choices " + number("%.3f", expected) + "\n";
}

void print_layer_overlap(std::ostream& out, const analysis::SelectionMap& map) {
  Table table{{"layer"}, {}};
  const auto means = analysis::overlap_of_layers(map);
  for (size_t i = 0; i < means.size(); ++i) {
    const std::string name = std::to_string(map.layers[i].layer);
    table.header.push_back(name);
    table.rows.push_back({name});
    for (size_t j = 0; j < means.size(); ++j) {
      const bool alone = i == j && map.layers[i].heads.size() < 2;
      table.rows.back().push_back(alone ? "-" : number("%.3f", means[i][j]));
    }
  }
  out << "\nOverlap between layers: mean over pairs of different heads\n\n" << report::to_text(table);
}

}  // namespace

std::string describe(const Inspection& inspection) {
  const auto& map = inspection.map;
  std::ostringstream text;
  text << "Model: " << inspection.model << ". Text: " << inspection.text_name << ", bytes " << inspection.offset
       << " to " << inspection.offset + static_cast<int64_t>(inspection.text.size()) - 1 << ". " << map.geometry << "; "
       << rule_name(map) << ".";
  if (map.geometry.is_dense() && map.geometry.num_levels() > 1)
    text << " With S >= N the layer runs dense attention: what follows is what it would have kept.";
  return text.str();
}

Table level_table(const analysis::SelectionMap& map) {
  const auto& geometry = map.geometry;
  const auto& head = map.layers.front().heads.front();
  const auto shares = analysis::level_shares(head, geometry.num_levels());
  Table table{{"level", "bytes per entry", "entries retained", "of S", "bytes kept no finer"}, {}};
  for (int64_t level = 0; level < geometry.num_levels(); ++level) {
    const auto i = static_cast<size_t>(level);
    table.rows.push_back(
        {std::to_string(level) + (level == 0 ? ", full detail" : ""), std::to_string(geometry.window_length(level)),
         std::to_string(head.entries[i]),
         percent(static_cast<double>(head.entries[i]) / static_cast<double>(geometry.retained_length())),
         percent(shares[i])});
  }
  const auto retained = static_cast<double>(geometry.retained_length());
  table.rows.push_back({"all (S)", "", std::to_string(geometry.retained_length()), "", "100.0%"});
  table.rows.push_back({"that write to the output", "", std::to_string(head.writes),
                        percent(static_cast<double>(head.writes) / retained), ""});
  return table;
}

Table head_table(const LayerSelection& layer) {
  Table table{{"head", "spans at level 0", "mean bytes", "longest", "overlap with the others"}, {}};
  const auto overlap = analysis::overlap_of_heads(layer);
  for (size_t head = 0; head < layer.heads.size(); ++head) {
    const auto spans = analysis::detail_spans(layer.heads[head]);
    int64_t total = 0;
    int64_t longest = 0;
    for (const auto& span : spans) {
      total += length(span);
      longest = std::max(longest, length(span));
    }
    double others = -1;  // the diagonal's 1
    for (const double value : overlap.jaccard[head]) others += value;
    const auto pairs = static_cast<double>(layer.heads.size() - 1);
    table.rows.push_back(
        {std::to_string(head), std::to_string(spans.size()),
         spans.empty() ? "-" : number("%.1f", static_cast<double>(total) / static_cast<double>(spans.size())),
         std::to_string(longest), pairs == 0 ? "-" : number("%.3f", others / pairs)});
  }
  return table;
}

Table overlap_table(const analysis::SelectionMap& map) {
  Table table{{"layer", "mean", "min", "max", "random choices", "mean / random"}, {}};
  const double expected = analysis::expected_jaccard(map);
  for (const auto& layer : map.layers) {
    const std::string name = std::to_string(layer.layer);
    if (layer.heads.size() < 2) {
      table.rows.push_back({name, "-", "-", "-", number("%.3f", expected), "-"});
      continue;
    }
    const auto overlap = analysis::overlap_of_heads(layer);
    table.rows.push_back({name, number("%.3f", overlap.mean), number("%.3f", overlap.min), number("%.3f", overlap.max),
                          number("%.3f", expected), number("%.1f", overlap.mean / expected)});
  }
  return table;
}

std::vector<report::Passage> shared_passages(const Inspection& inspection, const std::vector<LayerSelection>& layers,
                                             size_t count, bool utf8) {
  const auto& map = inspection.map;
  size_t heads = 0;
  for (const auto& layer : layers) heads += layer.heads.size();
  const auto kept_by = analysis::heads_at_detail(layers, map.geometry.num_tokens());
  const auto always = analysis::always_kept(map.geometry, map.options);
  std::vector<report::Passage> passages;
  for (const auto& span : analysis::most_shared_spans(kept_by, always, count)) {
    const std::string few = span.fewest_heads == span.most_heads ? "" : std::to_string(span.fewest_heads) + " to ";
    passages.push_back(in_surroundings(inspection.text, span.tokens, utf8));
    passages.back().figures = {std::to_string(inspection.offset + span.tokens.begin),
                               std::to_string(length(span.tokens)),
                               few + std::to_string(span.most_heads) + " of " + std::to_string(heads)};
  }
  return passages;
}

void print_inspection(std::ostream& out, const Inspection& inspection, int64_t width, bool utf8) {
  const auto& map = inspection.map;
  out << describe(inspection) << "\n\nFixed by these sizes, so the same for every head:\n\n"
      << report::to_text(level_table(map)) << "\nStrips: the text from left to right. "
      << (utf8 ? "Blank: coarsest windows alone; █: all at full detail.\n"
               : "Blank: coarsest windows alone; #: all at full detail.\n")
      << "Overlap: bytes that two heads keep at level 0 over bytes that either does.\n";
  const double expected = analysis::expected_jaccard(map);
  for (const auto& layer : map.layers) {
    out << "\nLayer " << layer.layer << ": " << overlap_line(layer, expected) << "\n";
    print_strips(out, inspection, layer, width, utf8);
    out << "\n" << report::to_text(head_table(layer)) << "\n";
    out << report::to_text(passage_table(shared_passages(inspection, {layer}, kListedSpans, utf8), utf8));
  }
  if (map.layers.size() < 2) return;
  print_layer_overlap(out, map);
  out << "\nKept at full detail by most heads of all these layers\n\n"
      << report::to_text(passage_table(shared_passages(inspection, map.layers, kListedSpans, utf8), utf8));
}

}  // namespace lighthouse::cli
