(function () {
  "use strict";

  function byId(id) {
    return document.getElementById(id);
  }

  async function loadPlotly() {
    if (typeof DecompressionStream === "undefined") {
      throw new Error(
        "this browser is too old to unpack them (Firefox 113, Chrome 80 or Safari 16.4 are enough)"
      );
    }
    const packed = atob(byId("plotly-js").textContent.trim());
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.appendChild(script);
  }

  function draw(source, template) {
    const plot = byId(source.dataset.for);
    const figure = JSON.parse(source.textContent);
    const layout = Object.assign({}, figure.layout, { template: template, autosize: true });
    if (window.matchMedia("(pointer: coarse)").matches) {
      // a finger on a figure shall scroll the page
      layout.dragmode = false;
    }
    const canHover = window.matchMedia("(hover: hover)").matches;
    const config = {
      displayModeBar: canHover ? "hover" : false,
      displaylogo: false,
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
      responsive: true,
    };
    return window.Plotly.newPlot(plot, figure.data, layout, config).then(function () {
      plot.dataset.drawn = "true";
    });
  }

  async function main() {
    const root = document.documentElement;
    const sources = Array.from(document.querySelectorAll(".drawing-data"));
    root.dataset.figures = String(sources.length);
    try {
      if (sources.length) {
        await loadPlotly();
      }
    } catch (error) {
      byId("trouble").textContent = "The figures cannot be drawn: " + error.message + ".";
      byId("trouble").hidden = false;
      for (const source of sources) {
        byId(source.dataset.for).classList.add("failed");
        byId(source.dataset.for).textContent = byId(source.dataset.for).getAttribute("aria-label");
      }
      return;
    }
    const template = JSON.parse(byId("plot-template").textContent);
    let drawn = 0;
    for (const source of sources) {
      try {
        await draw(source, template);
        drawn += 1;
      } catch (error) {
        const plot = byId(source.dataset.for);
        plot.classList.add("failed");
        plot.textContent = "This figure could not be drawn: " + error.message;
        console.error(error);
      }
    }
    root.dataset.drawn = String(drawn);
  }

  // a link to a folded section opens it
  function unfold() {
    const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.querySelector("details");
    if (details) {
      details.open = true;
    }
  }

  window.addEventListener("hashchange", unfold);
  unfold();
  main();
})();
