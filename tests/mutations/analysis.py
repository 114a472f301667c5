"""Faults in what looks at models and runs, and in charts and pages."""

from mutation import mutation

CONFIDENCE = "src/analysis/confidence.cpp"
POSITIONS = "src/analysis/position_loss.cpp"
RETRIEVAL = "src/analysis/retrieval.cpp"
COPYING = "src/analysis/copy_task.cpp"
MAP = "src/analysis/selection_map.cpp"
OVERLAP = "src/analysis/selection_overlap.cpp"
PEAK = "src/analysis/memory_peak.cpp"
AXIS = "src/report/axis.cpp"
CHART = "src/report/line_chart.cpp"
FIGURE = "src/report/standalone_chart.cpp"
LETTERS = "src/text/utf8.cpp"
PAGE = "src/report/html_page.cpp"
STRIP = "src/report/heat_strip.cpp"
SHADED = "src/report/shaded_text.cpp"

EVALUATION = ("test_analysis:Confidence.*:PositionLoss.*:Retrieval.*:CopyTask.*",)
SELECTION = ("test_selection_map",)
PICTURES = ("test_train:Report.*:Axis.*:Chart.*",)

ANALYSIS_FAULTS = [
    # ---- figures ----
    mutation(
        "normal-in-place-of-student", "intervals of few values are too narrow", CONFIDENCE, EVALUATION,
        ("student_quantile(static_cast<int>(values.size()) - 1)", "kNormal"),
    ),
    mutation(
        "one-degree-too-many", "Student's quantile is of as many degrees as values", CONFIDENCE, EVALUATION,
        ("student_quantile(static_cast<int>(values.size()) - 1)", "student_quantile(static_cast<int>(values.size()))"),
    ),
    mutation(
        "variance-over-all", "the variance divides by the count, not by one less", CONFIDENCE, EVALUATION,
        ("std::sqrt(squares / (count - 1) / count)", "std::sqrt(squares / count / count)"),
    ),
    mutation(
        "shares-beyond-one", "Wilson's interval is not centred", CONFIDENCE, EVALUATION,
        ("(share + z2 / 2) / (1 + z2);", "share;"),
    ),
    mutation(
        "bucket-of-nothing", "a length that is a bound has an empty bucket", POSITIONS, EVALUATION,
        ("bound < length; bound *= 2", "bound <= length; bound *= 2"),
    ),
    mutation(
        "buckets-share-a-token", "the first token of a bucket counts in the one before, too", POSITIONS, EVALUATION,
        ("values.slice(0, bounds_[i], bounds_[i + 1])", "values.slice(0, bounds_[i], bounds_[i + 1] + 1)"),
    ),
    mutation(
        "depth-from-the-end", "what is hidden at the start stands at the end", RETRIEVAL, EVALUATION,
        ("(filler * depth + 50) / 100", "(filler * (100 - depth) + 50) / 100"),
    ),
    mutation(
        "nine-digits", "a 9 is never the answer", RETRIEVAL, EVALUATION,
        ("logits.slice(0, '0', '9' + 1)", "logits.slice(0, '0', '9')"),
    ),
    mutation(
        "trials-alike", "every trial of a cell has the same text", RETRIEVAL, EVALUATION,
        ("EvaluationRandom random(seed, kStream, length, depth, trial);", "EvaluationRandom random(seed, kStream, length, depth, 0 * trial);"),
    ),
    mutation(
        "the-prefix-is-scored", "copying scores the bytes that show the place", COPYING, EVALUATION,
        ("const int64_t scored = copy_length - kCopyPrefix;", "const int64_t scored = copy_length;"),
    ),
    # ---- selection ----
    mutation(
        "coarsest-wins", "a token counts at the coarsest of its windows", MAP, SELECTION,
        ("finest = std::min(finest,", "finest = std::max(finest,"),
    ),
    mutation(
        "fineness-never-zero", "the coarsest level is not at 0", MAP, SELECTION,
        ("static_cast<double>(num_levels - 1);", "static_cast<double>(num_levels);"),
    ),
    mutation(
        "tail-not-always-kept", "the tail counts as chosen", MAP, SELECTION,
        ("std::fill(always.begin() + geometry.tail_begin(), always.end(), true);", ""),
    ),
    mutation(
        "union-counts-twice", "tokens that two heads keep count twice in their union", OVERLAP, SELECTION,
        ("either += in_a || in_b ? 1 : 0;", "either += (in_a ? 1 : 0) + (in_b ? 1 : 0);"),
    ),
    mutation(
        "heads-with-themselves", "the mean overlap of a layer takes in each head with itself", OVERLAP, SELECTION,
        ("if (&left == &right) continue;", ""),
    ),
    mutation(
        "peak-is-what-is-left", "peak memory is what is held at the end", PEAK, ("test_analysis:MemoryPeak.*",),
        ("peak_ = std::max(peak_, held_);", "peak_ = held_;"),
    ),
    # ---- charts and pages ----
    mutation(
        "ticks-before-the-axis", "the first tick lies left of the axis", CHART, PICTURES,
        ("std::ceil(low / step - 1e-9)", "std::floor(low / step - 1e-9)"),
    ),
    mutation(
        "lines-over-gaps", "a line goes on where there is no value", CHART, PICTURES,
        ("const bool joined = i > 0 && shown(i - 1);", "const bool joined = i > 0;"),
    ),
    mutation(
        "figures-lines-over-gaps", "a figure's line goes on where there is no value", FIGURE, PICTURES,
        ("      pen_down = false;\n      continue;", "      continue;"),
    ),
    mutation(
        "log-axis-linear", "values of a logarithmic axis stand as on a linear one", AXIS, PICTURES,
        ("return std::log(value / low_) / std::log(high_ / low_);", "return (value - low_) / (high_ - low_);"),
    ),
    mutation(
        "zero-on-a-log-axis", "zero has a place on a logarithmic axis", AXIS, PICTURES,
        ("value >= kSmallestOnLog)", "value >= 0)"),
    ),
    mutation(
        "half-escaped", "what follows an ampersand may be a character's name", PAGE, PICTURES,
        ("case '&': out += \"&amp;\"; break;", "case '&': out += '&'; break;"),
    ),
    mutation(
        "quotes-end-attributes", "a single quote in a title ends an attribute", PAGE, PICTURES,
        ("case '\\'': out += \"&#39;\"; break;", "case '\\'': out += '\\''; break;"),
    ),
    mutation(
        "bytes-as-columns", "letters beyond ASCII push a table's columns apart", PAGE, PICTURES,
        ("(c & 0xC0) != 0x80", "(void(c), true)"),
    ),
    mutation(
        "bins-overlap", "a value counts in two bins", STRIP, SELECTION,
        ("const size_t end = (bin + 1) * values.size() / bins;", "const size_t end = std::min(values.size(), (bin + 1) * values.size() / bins + 1);"),
    ),
    mutation(
        "control-bytes-shown", "bytes that a terminal takes as commands are shown as they are", LETTERS, SELECTION,
        ("return byte_at(letter, 0) >= 0x20 && byte_at(letter, 0) != 0x7F;", "return true;"),
    ),
]
